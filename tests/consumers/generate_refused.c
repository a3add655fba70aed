/* A C99 program whose texts are not written: calls that are cancelled from everywhere, and bad input. Argument: the
 * fixtures. */
#include <math.h>
#include <pthread.h>

#include "generated.h"

/* Many tokens that do not end by themselves. */
static ernie_generation endless(void) {
    ernie_generation generation = sampling(1, 16);
    generation.max_new_tokens = generation.min_new_tokens = 40;
    return generation;
}

/* ---- cancelling ---- */

static const char untouched; /* of an output */

static void cancelled(const ernie_model *model, const ernie_call *call, const ernie_generation *generation, size_t n) {
    ernie_input inputs[N_SOURCES];
    ernie_result *result = (ernie_result *)(uintptr_t)&untouched;
    ernie_model_statistics statistics = ERNIE_MODEL_STATISTICS_INIT;
    all_sources(inputs);
    FAILS(ernie_generate(model, inputs, n, call, generation, &result), ERNIE_ERROR_CANCELLED, "cancelled");
    CHECK(result == (ernie_result *)(uintptr_t)&untouched);
    OK(ernie_model_stats(model, &statistics));
    CHECK(statistics.cache_bytes == 0);
}

static void cancelled_before(const ernie_model *model) {
    ernie_cancel *cancel = ernie_cancel_new();
    ernie_model *ranker = open_model("paddlenlp_cross_encoder");
    ernie_call call = ERNIE_CALL_INIT;
    ernie_generation generation = decoding(ERNIE_DECODING_GREEDY);
    ernie_input input = text_input("好");
    ernie_str candidate = str("我们");
    ernie_result *result = NULL;
    ernie_model_statistics before = ERNIE_MODEL_STATISTICS_INIT, after = ERNIE_MODEL_STATISTICS_INIT;
    struct stream *stream = new_stream();
    call.cancel = cancel;
    CHECK(cancel != NULL && ernie_cancel_is_signalled(cancel) == 0);
    OK(ernie_generate(model, &input, 1, &call, &generation, &result));
    ernie_cancel_signal(cancel); /* too late for that call */
    ernie_cancel_signal(cancel);
    CHECK(ernie_cancel_is_signalled(cancel) == 1 && written(result, 0, 1) != NULL);
    ernie_result_free(result);
    result = NULL;
    OK(ernie_model_stats(model, &before));
    generation.on_text = take;
    generation.user = stream;
    cancelled(model, &call, &generation, N_SOURCES);
    cancelled(model, &call, NULL, 1);
    cancelled(model, &call, NULL, 0);
    call.errors = ERNIE_ERRORS_INPUT;
    cancelled(model, &call, NULL, N_SOURCES);
    FAILS(ernie_infer(model, &input, 1, &call, &result), ERNIE_ERROR_CANCELLED, "cancelled");
    FAILS(ernie_encode(model, &input, 1, &call, &result), ERNIE_ERROR_CANCELLED, "cancelled");
    FAILS(ernie_rank(ranker, str("好"), &candidate, 1, &call, &result), ERNIE_ERROR_CANCELLED, "cancelled");
    OK(ernie_model_stats(model, &after));
    CHECK(after.n_runs == before.n_runs && after.n_new_tokens == before.n_new_tokens && result == NULL);
    CHECK(stream->n_pieces[0] == 0);
    ernie_model_free(ranker);
    ernie_cancel_free(cancel);
    free(stream);
    ernie_cancel_free(NULL);
    ernie_cancel_signal(NULL);
    CHECK(ernie_cancel_is_signalled(NULL) == 0);
    ernie_result_free(generate(model, "好", NULL));
}

static void cancelled_within(const ernie_model *model, uint32_t which) {
    ernie_cancel *cancel = ernie_cancel_new();
    ernie_call call = ERNIE_CALL_INIT;
    ernie_generation generation = decoding(which);
    struct stream *stream = new_stream();
    call.cancel = stream->cancel = cancel;
    generation.on_text = take;
    generation.user = stream;
    cancelled(model, &call, &generation, 1);
    CHECK(stream->n_pieces[0] == 1 && stream->n_pieces[1] == 0);
    ernie_cancel_free(cancel);
    free(stream);
}

static void *cancel_in_the_middle(void *argument) {
    const struct stream *stream = argument;
    ernie_model_statistics statistics = ERNIE_MODEL_STATISTICS_INIT;
    /* The call is under way when it has written something. */
    do {
        OK(ernie_model_stats(stream->model, &statistics));
    } while (statistics.n_new_tokens == 0 && ernie_cancel_is_signalled(stream->cancel) == 0);
    ernie_cancel_signal(stream->cancel);
    return NULL;
}

static void cancelled_by_another_thread(void) {
    enum { N_INPUTS = 4000 };
    ernie_model *model = open_model("paddle_ernie_generator"); /* which has written nothing yet */
    ernie_cancel *cancel = ernie_cancel_new();
    ernie_call call = ERNIE_CALL_INIT;
    ernie_generation generation = endless();
    ernie_input *inputs = malloc(N_INPUTS * sizeof *inputs);
    ernie_result *result = NULL;
    ernie_model_statistics statistics = ERNIE_MODEL_STATISTICS_INIT;
    struct stream *stream = new_stream();
    pthread_t thread;
    for (size_t i = 0; inputs != NULL && i < N_INPUTS; ++i) {
        inputs[i] = text_input(sources[i % N_SOURCES]);
    }
    call.cancel = stream->cancel = cancel;
    stream->model = model;
    CHECK(pthread_create(&thread, NULL, cancel_in_the_middle, stream) == 0);
    FAILS(ernie_generate(model, inputs, N_INPUTS, &call, &generation, &result), ERNIE_ERROR_CANCELLED, "cancelled");
    CHECK(result == NULL);
    ernie_cancel_signal(cancel); /* a call that failed otherwise has written nothing to wait for */
    pthread_join(thread, NULL);
    OK(ernie_model_stats(model, &statistics));
    CHECK(statistics.n_new_tokens > 0 && statistics.n_new_tokens < (uint64_t)N_INPUTS * 16 * 40);
    CHECK(statistics.cache_bytes == 0 && statistics.peak_cache_bytes > 0);
    free(inputs);
    free(stream);
    ernie_cancel_free(cancel);
    ernie_model_free(model);
}

/* ---- bad input ---- */

static void refused(const ernie_model *model, const ernie_generation *generation, int32_t code, const char *says) {
    ernie_input input = text_input("好");
    ernie_result *result = NULL;
    FAILS(ernie_generate(model, &input, 1, NULL, generation, &result), code, says);
    CHECK(result == NULL);
}

#define REFUSED(base, change, says)                                                                                    \
    do {                                                                                                               \
        ernie_generation g = base;                                                                                     \
        change;                                                                                                        \
        refused(model, &g, ERNIE_ERROR_INVALID_ARGUMENT, says);                                                        \
    } while (0)

static void bad_numbers(const ernie_model *model) {
    const ernie_generation beam = decoding(ERNIE_DECODING_BEAM), greedy = decoding(ERNIE_DECODING_GREEDY);
    const ernie_generation sample = sampling(0, 1);
    struct {
        ernie_generation known;
        uint64_t more;
    } newer;
    REFUSED(beam, g.struct_size = 0, "generation.struct_size");
    REFUSED(beam, g.struct_size = 8, "generation.struct_size is 8");
    REFUSED(beam, g.reserved = 1, "generation.reserved is 1");
    REFUSED(beam, g.repetition_penalty = 1e-30f, "repetition_penalty is");
    REFUSED(beam, g.decoding = 3, "generation.decoding is 3");
    REFUSED(beam, g.source_padding = 2, "generation.source_padding is 2");
    REFUSED(beam, g.n_beams = 0, "n_beams is 0");
    REFUSED(beam, g.n_beams = 65, "n_beams is 65");
    REFUSED(beam, g.n_sequences = 0, "n_sequences is 0");
    REFUSED(beam, g.n_sequences = 6, "n_sequences is 6");
    REFUSED(greedy, g.n_sequences = 2, "n_sequences is 2");
    REFUSED(sample, g.n_sequences = 65, "n_sequences is 65");
    REFUSED(beam, g.length_penalty = NAN, "length_penalty");
    REFUSED(beam, g.length_penalty = 10.5f, "length_penalty");
    REFUSED(beam, g.temperature = 0.5f, "temperature");
    REFUSED(greedy, g.temperature = 0.5f, "temperature");
    REFUSED(beam, g.top_k = 3, "top_k");
    REFUSED(greedy, g.top_p = 0.5f, "top_p");
    REFUSED(greedy, g.seed = 1, "seed");
    REFUSED(sample, g.temperature = 0.0f, "temperature is 0");
    REFUSED(sample, g.temperature = INFINITY, "temperature");
    REFUSED(sample, g.top_p = 0.0f, "top_p is 0");
    REFUSED(sample, g.top_p = 1.5f, "top_p is 1.5");
    REFUSED(beam, g.repetition_penalty = 0.0f, "repetition_penalty is 0");
    REFUSED(beam, (g.min_new_tokens = 4, g.max_new_tokens = 3), "min_new_tokens is 4");
    /* What counts for nothing may be anything, where it has no range to be in. */
    {
        ernie_generation other = greedy;
        other.n_beams = 65;
        other.length_penalty = 2.0f;
        ernie_result_free(generate(model, "好", &other));
        REFUSED(greedy, g.length_penalty = 10.5f, "length_penalty");
    }
    /* A struct of a later header: fields that this library does not know must be 0. */
    memset(&newer, 0, sizeof newer);
    newer.known = greedy;
    newer.known.struct_size = sizeof newer;
    ernie_result_free(generate(model, "好", &newer.known));
    newer.more = 1;
    refused(model, &newer.known, ERNIE_ERROR_INVALID_ARGUMENT, "does not know");
}

static void bad_lists(const ernie_model *model) {
    const ernie_generation beam = decoding(ERNIE_DECODING_BEAM);
    const int64_t outside[2] = {7, 81}, negative = -1, end = 2, seven = 7;
    const int64_t many[97] = {0};
    ernie_str empty = str(""), invalid = str("\xE4\xBB"), at_null = {NULL, 3};
    ernie_generation bad_text = beam;
    REFUSED(beam, g.n_stop = 1, "generation.stop is NULL");
    REFUSED(beam, g.n_forbidden_tokens = 1, "generation.forbidden_tokens is NULL");
    REFUSED(beam, g.n_forced_tokens = SIZE_MAX, "generation.forced_tokens is NULL");
    REFUSED(beam, (g.forced_tokens = many, g.n_forced_tokens = SIZE_MAX), "generation.forced_tokens cannot");
    REFUSED(beam, (g.forced_tokens = (const int64_t *)(uintptr_t)((uintptr_t)many + 1), g.n_forced_tokens = 1),
            "generation.forced_tokens is not aligned");
    REFUSED(beam, (g.stop = &empty, g.n_stop = 1), "stop[0] is empty");
    REFUSED(beam, (g.stop = &at_null, g.n_stop = 1), "generation.stop[0]");
    bad_text.stop = &invalid;
    bad_text.n_stop = 1;
    refused(model, &bad_text, ERNIE_ERROR_INVALID_UTF8, "generation.stop[0]");
    REFUSED(beam, (g.forbidden_tokens = outside, g.n_forbidden_tokens = 2), "forbidden_tokens[1] is 81");
    REFUSED(beam, (g.forced_tokens = &negative, g.n_forced_tokens = 1), "forced_tokens[0] is -1");
    REFUSED(beam, (g.forced_tokens = &end, g.n_forced_tokens = 1), "forced_tokens[0] is 2");
    REFUSED(beam,
            (g.forced_tokens = &seven, g.n_forced_tokens = 1, g.forbidden_tokens = &seven, g.n_forbidden_tokens = 1),
            "forced_tokens[0] is 7, which is forbidden");
    REFUSED(beam, (g.forced_tokens = many, g.n_forced_tokens = 3, g.max_new_tokens = 2), "3 tokens are forced");
    REFUSED(beam, (g.forced_tokens = many, g.n_forced_tokens = 97), "97");
}

/* Where the positions of the model end: 96 are [CLS], [SEP], 93 new tokens and one that asks for the next. */
static void no_room(const ernie_model *model) {
    const int32_t code = ERNIE_ERROR_INVALID_ARGUMENT;
    ernie_generation generation = decoding(ERNIE_DECODING_GREEDY);
    ernie_call call = ERNIE_CALL_INIT;
    ernie_input inputs[2];
    ernie_result *result = NULL;
    int32_t of_input = -1;
    inputs[0] = text_input("");
    inputs[1] = text_input("好");
    REFUSED(generation, g.max_new_tokens = 94, "max_new_tokens is 94");
    REFUSED(generation, g.max_new_tokens = SIZE_MAX, "max_new_tokens");
    REFUSED(generation, g.min_new_tokens = 94, "min_new_tokens is 94");
    generation.max_new_tokens = generation.min_new_tokens = 93;
    FAILS(ernie_generate(model, inputs, 2, NULL, &generation, &result), code, "input 1: 3 tokens, 93 new ones");
    CHECK(result == NULL);
    call.errors = ERNIE_ERRORS_INPUT;
    OK(ernie_generate(model, inputs, 2, &call, &generation, &result));
    CHECK(written(result, 0, 1)->n_tokens == 93);
    OK(ernie_result_error(result, 1, &of_input, NULL));
    CHECK(of_input == code);
    ernie_result_free(result);
}

static void bad_calls(const ernie_model *model) {
    const int32_t code = ERNIE_ERROR_INVALID_ARGUMENT;
    ernie_model *tagger = open_model("paddle_ernie_ner");
    ernie_input inputs[3];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_generation generation = decoding(ERNIE_DECODING_GREEDY);
    ernie_result *result = NULL, *vectors = NULL, *raw = NULL, *alone;
    const ernie_generated *generated = NULL;
    const ernie_item *items = NULL;
    ernie_tensor tensor;
    size_t n_generated = 0;
    int32_t of_input = -1;
    ernie_str message;
    ernie_matrix matrix;
    inputs[0] = text_input(sources[0]);
    inputs[1] = text_input("好\xFF");
    inputs[2] = text_input(sources[1]);
    refused(tagger, NULL, ERNIE_ERROR_UNSUPPORTED, "token_classification writes no texts");
    FAILS(ernie_generate(NULL, inputs, 1, NULL, NULL, &result), code, "model is NULL");
    FAILS(ernie_generate(model, NULL, 1, NULL, NULL, &result), code, "inputs is NULL");
    FAILS(ernie_generate(model, inputs, 1, NULL, NULL, NULL), code, "result is NULL");
    FAILS(ernie_generate(model, inputs, SIZE_MAX, NULL, NULL, &result), code, "inputs");
    FAILS(ernie_generate(model, inputs, 3, NULL, NULL, &result), ERNIE_ERROR_INVALID_UTF8, "input 1");
    call.outputs = ERNIE_OUTPUT_TOKENS;
    FAILS(ernie_generate(model, inputs, 1, &call, NULL, &result), code, "vectors of tokens");
    FAILS(ernie_infer(model, inputs, 1, &call, &result), code, "ernie_encode gives");
    call.outputs = ERNIE_OUTPUT_RAW;
    FAILS(ernie_generate(model, inputs, 1, &call, NULL, &result), code, "ernie_infer gives");
    OK(ernie_infer(model, inputs, 1, &call, &raw));
    OK(ernie_result_tensor(raw, 0, 0, &tensor));
    CHECK(tensor.n_dims == 3);
    FAILS(ernie_result_generated(raw, 0, &generated, &n_generated), code, "no generated texts");
    FAILS(ernie_result_items(raw, 0, &items, &n_generated), code, "no items");
    ernie_result_free(raw);
    call.outputs = 0;
    call.threshold = 2.0f;
    FAILS(ernie_generate(model, inputs, 1, &call, NULL, &result), code, "threshold is 2");
    call.threshold = 1.0f;
    call.errors = ERNIE_ERRORS_INPUT;
    CHECK(result == NULL);
    OK(ernie_generate(model, inputs, 3, &call, &generation, &result));
    CHECK(ernie_result_count(result) == 3);
    OK(ernie_result_error(result, 1, &of_input, &message));
    CHECK(of_input == ERNIE_ERROR_INVALID_UTF8 && strstr(message.data, "input 1") != NULL);
    (void)written(result, 1, 0);
    OK(ernie_result_error(result, 2, &of_input, NULL));
    alone = generate(model, sources[1], &generation);
    CHECK(of_input == ERNIE_OK && same_results(result, 2, alone, 0, 1));
    ernie_result_free(alone);
    FAILS(ernie_result_generated(NULL, 0, &generated, &n_generated), code, "result is NULL");
    FAILS(ernie_result_generated(result, 0, NULL, &n_generated), code, "generated is NULL");
    FAILS(ernie_result_generated(result, 0, &generated, NULL), code, "n_generated is NULL");
    FAILS(ernie_result_generated(result, 3, &generated, &n_generated), code, "3 entries");
    FAILS(ernie_result_matrix(result, &matrix), code, "no matrix");
    ernie_result_free(result);
    OK(ernie_generate(model, NULL, 0, NULL, NULL, &result));
    CHECK(ernie_result_count(result) == 0);
    FAILS(ernie_result_generated(result, 0, &generated, &n_generated), code, "index");
    ernie_result_free(result);
    OK(ernie_infer(tagger, inputs, 1, NULL, &vectors));
    FAILS(ernie_result_generated(vectors, 0, &generated, &n_generated), code, "no generated texts");
    CHECK(generated == NULL && n_generated == 0);
    ernie_result_free(vectors);
    ernie_model_free(tagger);
}

int main(int argc, char **argv) {
    ernie_model *model;
    if (argc != 2) {
        fprintf(stderr, "generate_refused FIXTURES\n");
        return 2;
    }
    fixtures = argv[1];
    model = open_model("paddle_ernie_generator");
    if (model == NULL) {
        return 1;
    }
    cancelled_before(model);
    for (uint32_t which = ERNIE_DECODING_BEAM; which <= ERNIE_DECODING_SAMPLE; ++which) {
        cancelled_within(model, which);
    }
    cancelled_by_another_thread();
    bad_numbers(model);
    bad_lists(model);
    no_room(model);
    bad_calls(model);
    ernie_model_free(model);
    return n_failed == 0 ? 0 : 1;
}
