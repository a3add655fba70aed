/* A C99 program that writes texts through the C interface: results of every decoding, streams, stops, batches, threads,
 * memory. Argument: the fixtures. */
#include <pthread.h>

#include "generated.h"

/* ---- results ---- */

static void a_text_is_whole(const ernie_tokenizer *tokenizer, const ernie_generated *generated, int is_beam) {
    ernie_result *decoded = NULL;
    ernie_str text;
    double n = (double)generated->n_tokens;
    CHECK(is_utf8(generated->text.data, generated->text.len) && generated->text.data[generated->text.len] == '\0');
    CHECK(generated->token_ids != NULL && generated->reserved == 0 && generated->log_probability < 0.0f);
    CHECK(generated->finish == ERNIE_FINISH_END || generated->finish == ERNIE_FINISH_LENGTH);
    CHECK(close_to(generated->score,
                   is_beam ? (float)(generated->log_probability / ((5.0 + n) / 6.0)) : generated->log_probability));
    OK(ernie_tokenizer_decode(tokenizer, generated->token_ids, generated->n_tokens, ERNIE_DECODE_GENERATED, &decoded));
    OK(ernie_result_text(decoded, 0, &text));
    CHECK(text.len == generated->text.len && memcmp(text.data, generated->text.data, text.len) == 0);
    ernie_result_free(decoded);
}

static void results(const ernie_model *model) {
    ernie_input inputs[N_SOURCES];
    ernie_tokenizer *tokenizer = NULL;
    ernie_generation all[3];
    ernie_result *result = NULL, *inferred = NULL;
    const ernie_item *items = NULL;
    size_t n_items = 0;
    ernie_tokens tokens = ERNIE_TOKENS_INIT;
    all_sources(inputs);
    all[0] = decoding(ERNIE_DECODING_BEAM);
    all[0].n_sequences = 3;
    all[1] = decoding(ERNIE_DECODING_GREEDY);
    all[2] = sampling(7, 3);
    OK(ernie_model_tokenizer(model, &tokenizer));
    for (size_t d = 0; d < 3; ++d) {
        OK(ernie_generate(model, inputs, N_SOURCES, NULL, &all[d], &result));
        CHECK(ernie_result_count(result) == N_SOURCES && ernie_result_encoding_count(result) == N_SOURCES);
        for (size_t i = 0; i < N_SOURCES; ++i) {
            const ernie_generated *generated = written(result, i, all[d].n_sequences);
            OK(ernie_result_items(result, i, &items, &n_items));
            CHECK(n_items == all[d].n_sequences);
            for (size_t k = 0; generated != NULL && k < n_items; ++k) {
                a_text_is_whole(tokenizer, &generated[k], d == 0);
                CHECK(items[k].id == (int64_t)k && items[k].score == generated[k].score);
                CHECK(items[k].text.len == generated[k].text.len);
                CHECK(d != 0 || k == 0 || generated[k].score <= generated[k - 1].score);
                CHECK(k == 0 || !same(&generated[k], &generated[0]));
            }
        }
        OK(ernie_result_tokens(result, 3, &tokens));
        CHECK(tokens.input == 3 && tokens.n_tokens > 2 && tokens.n_truncated_tokens == 0);
        ernie_result_free(result);
    }
    ernie_tokenizer_free(tokenizer);
    OK(ernie_generate(model, inputs, N_SOURCES, NULL, NULL, &result));
    OK(ernie_infer(model, inputs, N_SOURCES, NULL, &inferred));
    for (size_t i = 0; i < N_SOURCES; ++i) {
        CHECK(same_results(result, i, inferred, i, 1));
    }
    ernie_result_free(inferred);
    ernie_result_free(result);
}

static void seeds(const ernie_model *model) {
    ernie_generation seven = sampling(7, 2), eight = sampling(8, 2), first = sampling(7, 1);
    ernie_generation greedy = decoding(ERNIE_DECODING_GREEDY), likeliest = sampling(7, 1);
    ernie_result *a = generate(model, sources[0], &seven), *b = generate(model, sources[0], &seven);
    ernie_result *c = generate(model, sources[0], &eight), *d = generate(model, sources[0], &first), *e, *f;
    likeliest.top_k = 1;
    CHECK(same_results(a, 0, b, 0, 2) && !same_results(a, 0, c, 0, 2));
    CHECK(same(written(a, 0, 2), written(d, 0, 1)));
    e = generate(model, sources[0], &greedy);
    f = generate(model, sources[0], &likeliest);
    CHECK(same_results(e, 0, f, 0, 1));
    ernie_result_free(a);
    ernie_result_free(b);
    ernie_result_free(c);
    ernie_result_free(d);
    ernie_result_free(e);
    ernie_result_free(f);
}

static void limits(const ernie_model *model) {
    ernie_generation generation = decoding(ERNIE_DECODING_GREEDY);
    const ernie_generated *generated;
    ernie_result *result = generate(model, sources[0], &generation), *stopped;
    int64_t forced[2], forbidden;
    ernie_str stop[2];
    char text[256];
    generation.max_new_tokens = generation.min_new_tokens = 6;
    generation.no_repeat_ngram = 1;
    generated = written(result, 0, 1);
    forbidden = generated->token_ids[0];
    forced[0] = generated->token_ids[1];
    forced[1] = generated->token_ids[2];
    snprintf(text, sizeof text, "%s", generated->text.data);
    ernie_result_free(result);
    generation.forced_tokens = forced;
    generation.n_forced_tokens = 2;
    generation.forbidden_tokens = &forbidden;
    generation.n_forbidden_tokens = 1;
    result = generate(model, sources[0], &generation);
    generated = written(result, 0, 1);
    CHECK(generated->n_tokens == 6 && generated->finish == ERNIE_FINISH_LENGTH);
    CHECK(generated->token_ids[0] == forced[0] && generated->token_ids[1] == forced[1]);
    for (size_t i = 0; i < 6; ++i) {
        CHECK(generated->token_ids[i] != forbidden);
        for (size_t k = 0; k < i; ++k) {
            CHECK(generated->token_ids[i] != generated->token_ids[k]);
        }
    }
    ernie_result_free(result);
    /* A stop string of what would be written ends it before. */
    generation = decoding(ERNIE_DECODING_GREEDY);
    stop[0] = str("never");
    stop[1].data = strchr(text, '\xE3'); /* of "。" */
    CHECK(stop[1].data != NULL);
    stop[1].len = 3;
    generation.stop = stop;
    generation.n_stop = stop[1].data == NULL ? 0 : 2;
    stopped = generate(model, sources[0], &generation);
    generated = written(stopped, 0, 1);
    CHECK(generated->finish == ERNIE_FINISH_STOP_STRING && generated->text.len == (size_t)(stop[1].data - text));
    CHECK(memcmp(generated->text.data, text, generated->text.len) == 0);
    ernie_result_free(stopped);
}

static void pairs(const ernie_model *model) {
    ernie_input inputs[3];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    ernie_tokens tokens[3] = {ERNIE_TOKENS_INIT, ERNIE_TOKENS_INIT, ERNIE_TOKENS_INIT};
    inputs[0] = text_input("我们");
    inputs[1] = pair_input("我们", "今天");
    inputs[2] = text_input("我们去北京我们去北京我们去北京");
    call.max_tokens = 8;
    OK(ernie_generate(model, inputs, 3, &call, NULL, &result));
    for (size_t i = 0; i < 3; ++i) {
        OK(ernie_result_tokens(result, i, &tokens[i]));
        (void)written(result, i, 1);
    }
    CHECK(tokens[0].n_tokens == 4 && tokens[1].n_tokens == 7);
    CHECK(tokens[2].n_tokens == 8 && tokens[2].n_truncated_tokens == 9);
    ernie_result_free(result);
    call.truncation = ERNIE_TRUNCATION_ERROR;
    FAILS(ernie_generate(model, inputs, 3, &call, NULL, &result), ERNIE_ERROR_TEXT_TOO_LONG, "input 2");
    call.truncation = ERNIE_TRUNCATION_WINDOWS;
    FAILS(ernie_generate(model, inputs, 3, &call, NULL, &result), ERNIE_ERROR_INVALID_ARGUMENT, "truncation");
}

/* ---- streams ---- */

static void pieces_are_the_texts(const ernie_model *model, uint32_t which, uint32_t n_sequences) {
    ernie_input inputs[N_SOURCES];
    ernie_generation generation = decoding(which), silent;
    ernie_result *result = NULL, *quiet = NULL;
    ernie_str stop = str("。b");
    struct stream *stream = new_stream();
    size_t n_pieces = 0;
    all_sources(inputs);
    generation.n_sequences = n_sequences;
    generation.stop = &stop;
    generation.n_stop = 1;
    silent = generation;
    generation.on_text = take;
    generation.user = stream;
    stream->model = model;
    OK(ernie_generate(model, inputs, N_SOURCES, NULL, &generation, &result));
    OK(ernie_generate(model, inputs, N_SOURCES, NULL, &silent, &quiet));
    for (size_t i = 0; i < N_SOURCES; ++i) {
        const ernie_generated *generated = written(result, i, n_sequences);
        CHECK(same_results(result, i, quiet, i, n_sequences));
        for (size_t k = 0; generated != NULL && k < n_sequences; ++k) {
            CHECK(stream->length[i][k] == generated[k].text.len);
            CHECK(memcmp(stream->text[i][k], generated[k].text.data, generated[k].text.len) == 0);
        }
        n_pieces += stream->n_pieces[i];
    }
    CHECK(n_pieces > N_SOURCES * n_sequences); /* not all at the end */
    ernie_result_free(quiet);
    ernie_result_free(result);
    free(stream);
}

static void what_is_stopped_ends_there(const ernie_model *model, uint32_t which, uint32_t n_sequences) {
    ernie_input inputs[N_SOURCES];
    ernie_generation generation = decoding(which), silent;
    ernie_result *result = NULL, *quiet = NULL;
    const ernie_generated *generated;
    struct stream *stream = new_stream();
    all_sources(inputs);
    generation.n_sequences = n_sequences;
    silent = generation;
    generation.on_text = take;
    generation.user = stream;
    stream->stop_input = 1;
    OK(ernie_generate(model, inputs, N_SOURCES, NULL, &generation, &result));
    OK(ernie_generate(model, inputs, N_SOURCES, NULL, &silent, &quiet));
    /* Beams end together; each of the others ends alone. */
    CHECK(stream->n_pieces[1] == (which == ERNIE_DECODING_BEAM ? 1 : n_sequences));
    generated = written(result, 1, n_sequences);
    for (size_t k = 0; generated != NULL && k < n_sequences; ++k) {
        CHECK(generated[k].finish == ERNIE_FINISH_STOPPED);
        CHECK(is_utf8(generated[k].text.data, generated[k].text.len));
        CHECK(generated[k].text.len >= stream->length[1][k]);
        CHECK(memcmp(generated[k].text.data, stream->text[1][k], stream->length[1][k]) == 0);
    }
    for (size_t i = 0; i < N_SOURCES; ++i) {
        CHECK(i == 1 || same_results(result, i, quiet, i, n_sequences));
    }
    ernie_result_free(quiet);
    ernie_result_free(result);
    free(stream);
}

/* ---- batches, threads, memory ---- */

static void a_text_alone_is_that_of_a_batch(const ernie_model *model) {
    enum { N_INPUTS = 40 };
    ernie_input inputs[N_INPUTS];
    ernie_generation all[3];
    all[0] = decoding(ERNIE_DECODING_BEAM);
    all[0].n_sequences = 2;
    all[1] = decoding(ERNIE_DECODING_GREEDY);
    all[2] = sampling(3, 2);
    for (size_t i = 0; i < N_INPUTS; ++i) {
        inputs[i] = text_input(sources[i * i % 7 % N_SOURCES]);
    }
    for (size_t d = 0; d < 3; ++d) {
        ernie_result *batch = NULL;
        OK(ernie_generate(model, inputs, N_INPUTS, NULL, &all[d], &batch));
        for (size_t i = 0; i < N_INPUTS; ++i) {
            ernie_result *alone = generate(model, inputs[i].text.data, &all[d]);
            CHECK(same_results(batch, i, alone, 0, all[d].n_sequences));
            ernie_result_free(alone);
        }
        ernie_result_free(batch);
    }
}

struct shared {
    const ernie_model *model;
    const ernie_result *wanted[3];
    ernie_generation generation[3];
};

static void *write_some(void *argument) {
    const struct shared *shared = argument;
    ernie_input inputs[N_SOURCES];
    all_sources(inputs);
    for (size_t round = 0; round < 6; ++round) {
        size_t d = round % 3;
        ernie_result *result = NULL;
        OK(ernie_generate(shared->model, inputs, N_SOURCES, NULL, &shared->generation[d], &result));
        for (size_t i = 0; i < N_SOURCES; ++i) {
            CHECK(same_results(result, i, shared->wanted[d], i, 1));
        }
        ernie_result_free(result);
    }
    return NULL;
}

static void threads(const ernie_model *model) {
    ernie_input inputs[N_SOURCES];
    ernie_result *wanted[3] = {NULL, NULL, NULL};
    struct shared shared;
    pthread_t all[4];
    all_sources(inputs);
    shared.model = model;
    shared.generation[0] = decoding(ERNIE_DECODING_BEAM);
    shared.generation[1] = decoding(ERNIE_DECODING_GREEDY);
    shared.generation[2] = sampling(5, 1);
    for (size_t d = 0; d < 3; ++d) {
        OK(ernie_generate(model, inputs, N_SOURCES, NULL, &shared.generation[d], &wanted[d]));
        shared.wanted[d] = wanted[d];
    }
    for (size_t i = 0; i < 4; ++i) {
        CHECK(pthread_create(&all[i], NULL, write_some, &shared) == 0);
    }
    for (size_t i = 0; i < 4; ++i) {
        pthread_join(all[i], NULL);
    }
    for (size_t d = 0; d < 3; ++d) {
        ernie_result_free(wanted[d]);
    }
}

/* A token's entry is its key and its value in each layer; one is made for each token that is fed. */
static void the_cache_takes_what_it_must(uint32_t which) {
    ernie_model *model = open_model("paddle_ernie_generator");
    ernie_generation generation = decoding(which);
    ernie_model_info info = ERNIE_MODEL_INFO_INIT;
    ernie_model_statistics statistics = ERNIE_MODEL_STATISTICS_INIT;
    ernie_tokens source = ERNIE_TOKENS_INIT;
    const ernie_generated *generated;
    ernie_result *result;
    size_t n_fed;
    generation.n_beams = 1;
    OK(ernie_model_info_get(model, &info));
    OK(ernie_model_stats(model, &statistics));
    CHECK(statistics.peak_cache_bytes == 0 && statistics.n_new_tokens == 0);
    result = generate(model, sources[0], &generation);
    generated = written(result, 0, 1);
    OK(ernie_result_tokens(result, 0, &source));
    /* [CLS], and every token but the last of a text that was cut. */
    n_fed = generated->n_tokens + (generated->finish == ERNIE_FINISH_END);
    OK(ernie_model_stats(model, &statistics));
    CHECK(statistics.cache_bytes == 0 && statistics.n_new_tokens == n_fed);
    CHECK(statistics.peak_cache_bytes == 4 * info.n_layers * 2 * info.hidden_size * (source.n_tokens + n_fed));
    ernie_result_free(result);
    ernie_model_free(model);
}

int main(int argc, char **argv) {
    ernie_model *model;
    if (argc != 2) {
        fprintf(stderr, "generate FIXTURES\n");
        return 2;
    }
    fixtures = argv[1];
    model = open_model("paddle_ernie_generator");
    if (model == NULL) {
        return 1;
    }
    results(model);
    seeds(model);
    limits(model);
    pairs(model);
    for (uint32_t which = ERNIE_DECODING_BEAM; which <= ERNIE_DECODING_SAMPLE; ++which) {
        uint32_t n_sequences = which == ERNIE_DECODING_GREEDY ? 1 : 3;
        pieces_are_the_texts(model, which, n_sequences);
        what_is_stopped_ends_there(model, which, n_sequences);
    }
    a_text_alone_is_that_of_a_batch(model);
    threads(model);
    the_cache_takes_what_it_must(ERNIE_DECODING_GREEDY);
    the_cache_takes_what_it_must(ERNIE_DECODING_BEAM);
    ernie_model_free(model);
    return n_failed == 0 ? 0 : 1;
}
