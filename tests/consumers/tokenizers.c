/* A C99 program that uses tokenizers alone: every scheme, windows, offsets, decoding, bad input, threads. It must not
 * need ONNX Runtime. Arguments: the demo model, the fixtures. */
#include <pthread.h>
#include <stdint.h>

#include "check.h"

static char path[1024];

static const char *at(const char *folder, const char *name) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static ernie_tokenizer *open_as(const char *dir, const char *scheme) {
    ernie_options *options = ernie_options_new();
    ernie_tokenizer *tokenizer = NULL;
    OK(ernie_options_set(options, "tokenizer", scheme));
    OK(ernie_tokenizer_open(dir, options, &tokenizer));
    ernie_options_free(options);
    return tokenizer;
}

/* ---- windows and what was cut ---- */

static void windows(const ernie_tokenizer *tokenizer) {
    const char *passage = "房间很干净房间很干净"; /* ten characters, ten tokens */
    ernie_input inputs[2];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    ernie_tokens tokens = ERNIE_TOKENS_INIT;
    ernie_span fragment = {7, 7};
    uint8_t sequence = 7;
    inputs[0] = pair_input("很好", passage);
    inputs[1] = text_input("好");
    call.max_tokens = 9; /* 3 special tokens, 2 of the text, 4 of the pair */
    call.truncation = ERNIE_TRUNCATION_WINDOWS;
    call.doc_stride = 3;
    OK(ernie_tokenizer_encode(tokenizer, inputs, 2, &call, &result));
    CHECK(ernie_result_count(result) == 4);
    for (size_t i = 0; i < 4; ++i) {
        OK(ernie_result_tokens(result, i, &tokens));
        CHECK(tokens.input == i / 3 && tokens.window == i % 3 && tokens.n_windows == (i < 3 ? 3 : 1));
        CHECK(tokens.n_truncated_tokens == 0 && tokens.n_tokens == (i < 3 ? 9 : 3));
        if (i < 3) {
            CHECK(tokens.offsets[4].begin == 9 * i && tokens.offsets[7].end == 9 * i + 12);
            OK(ernie_result_fragment(result, i, 4, 8, &sequence, &fragment));
            CHECK(sequence == 1 && fragment.begin == 9 * i && fragment.end == 9 * i + 12);
        }
    }
    FAILS(ernie_result_fragment(result, 0, 2, 6, &sequence, &fragment), ERNIE_ERROR_INVALID_ARGUMENT, "both");
    FAILS(ernie_result_fragment(result, 0, 5, 99, &sequence, &fragment), ERNIE_ERROR_INVALID_ARGUMENT, "5..99");
    FAILS(ernie_result_fragment(result, 4, 0, 1, &sequence, &fragment), ERNIE_ERROR_INVALID_ARGUMENT, "4 entries");
    OK(ernie_result_fragment(result, 0, 0, 1, &sequence, &fragment));
    CHECK(sequence == 255 && fragment.begin == 0 && fragment.end == 0);
    ernie_result_free(result);

    call.truncation = ERNIE_TRUNCATION_ONLY_SECOND;
    OK(ernie_tokenizer_encode(tokenizer, inputs, 1, &call, &result));
    OK(ernie_result_tokens(result, 0, &tokens));
    CHECK(tokens.n_truncated_tokens == 6 && tokens.n_truncated_pair_tokens == 6);
    CHECK(tokens.truncated_pair.begin == 12 && tokens.truncated_pair.end == strlen(passage));
    CHECK(tokens.truncated_text.begin == 0 && tokens.truncated_text.end == 0);
    ernie_result_free(result);
    result = NULL;
    call.truncation = ERNIE_TRUNCATION_ONLY_FIRST;
    FAILS(ernie_tokenizer_encode(tokenizer, inputs, 1, &call, &result), ERNIE_ERROR_TEXT_TOO_LONG, "input 0");
    call.truncation = 99;
    FAILS(ernie_tokenizer_encode(tokenizer, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "truncation");
    call.truncation = 0;
    call.seed_truncate_to = 8;
    FAILS(ernie_tokenizer_encode(tokenizer, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "ernie");
    CHECK(result == NULL);
}

/* ---- offsets in other units ---- */

static void units(void) {
    const char *text = "é\xF0\x9F\x98\x80中"; /* 2, 4 and 3 bytes */
    ernie_span spans[3] = {{6, 9}, {0, 2}, {2, 6}}, kept[3], converted[3];
    memcpy(kept, spans, sizeof spans);
    OK(ernie_spans_convert(str(text), ERNIE_UNIT_BYTES, ERNIE_UNIT_UTF16, spans, 3, converted));
    CHECK(converted[0].begin == 3 && converted[0].end == 4 && converted[2].begin == 1 && converted[2].end == 3);
    OK(ernie_spans_convert(str(text), ERNIE_UNIT_UTF16, ERNIE_UNIT_CODE_POINTS, converted, 3, spans));
    CHECK(spans[0].begin == 2 && spans[0].end == 3 && spans[1].end == 1);
    OK(ernie_spans_convert(str(text), ERNIE_UNIT_CODE_POINTS, ERNIE_UNIT_BYTES, spans, 3, spans));
    CHECK(memcmp(spans, kept, sizeof spans) == 0);
    OK(ernie_spans_convert(str(NULL), 0, 1, NULL, 0, NULL));
    spans[1].end = 10;
    FAILS(ernie_spans_convert(str(text), 0, 1, spans, 3, converted), ERNIE_ERROR_INVALID_ARGUMENT, "spans[1]");
    spans[1].end = 1;
    FAILS(ernie_spans_convert(str(text), 0, 1, spans, 3, converted), ERNIE_ERROR_INVALID_ARGUMENT, "spans[1]");
    spans[1].end = SIZE_MAX;
    FAILS(ernie_spans_convert(str(text), 0, 1, spans, 3, converted), ERNIE_ERROR_INVALID_ARGUMENT, "spans[1]");
    FAILS(ernie_spans_convert(str(text), 3, 1, kept, 3, converted), ERNIE_ERROR_INVALID_ARGUMENT, "from_unit");
    FAILS(ernie_spans_convert(str(text), 0, 9, kept, 3, converted), ERNIE_ERROR_INVALID_ARGUMENT, "to_unit");
    FAILS(ernie_spans_convert(str("\xFF"), 0, 1, kept, 1, converted), ERNIE_ERROR_INVALID_UTF8, "text");
    FAILS(ernie_spans_convert(str(text), 0, 1, NULL, 3, converted), ERNIE_ERROR_INVALID_ARGUMENT, "spans");
    FAILS(ernie_spans_convert(str(text), 0, 1, kept, 3, NULL), ERNIE_ERROR_INVALID_ARGUMENT, "converted");
}

/* ---- the schemes ---- */

static void schemes(const char *demo, const char *fixtures) {
    static const char *const names[] = {"ernie",      "bert",    "bert-fast", "bert-paddlenlp",
                                        "ernie-tiny", "ernie-m", "ernie-m-hf"};
    const char *text = "Hello，世界 [MASK] 12";
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        ernie_tokenizer *tokenizer =
            open_as(i < 4 ? demo : at(fixtures, i == 4 ? "tokenizers/ernie_tiny" : "tokenizers/ernie_m"), names[i]);
        ernie_input input = text_input(text);
        ernie_result *result = NULL, *written = NULL;
        ernie_tokens tokens = ERNIE_TOKENS_INIT;
        ernie_call call = ERNIE_CALL_INIT;
        ernie_tokenizer_info info = ERNIE_TOKENIZER_INFO_INIT;
        ernie_str token;
        int64_t mask = 7, nothing = 7, far = INT64_MAX;
        int n_masks = 0;
        OK(ernie_tokenizer_token_id(tokenizer, str("[MASK]"), &mask));
        OK(ernie_tokenizer_token_id(tokenizer, str("no such token"), &nothing));
        CHECK(mask >= 0 && (size_t)mask < ernie_tokenizer_vocab_size(tokenizer) && nothing == -1);
        OK(ernie_tokenizer_encode(tokenizer, &input, 1, NULL, &result));
        OK(ernie_result_tokens(result, 0, &tokens));
        for (size_t k = 0; k < tokens.n_tokens; ++k) {
            n_masks += tokens.input_ids[k] == mask;
            CHECK(tokens.offsets[k].begin <= tokens.offsets[k].end && tokens.offsets[k].end <= strlen(text));
        }
        /* In ernie-tiny's reference a special token in a text is text. */
        CHECK(n_masks == (i == 4 ? 0 : 1));
        CHECK(tokens.offsets[tokens.n_tokens - 2].end == strlen(text));
        OK(ernie_tokenizer_decode(tokenizer, tokens.input_ids, tokens.n_tokens, ERNIE_DECODE_GENERATED, &written));
        ernie_result_free(written);
        OK(ernie_tokenizer_info_get(tokenizer, &info));
        CHECK(strcmp(info.scheme, names[i]) == 0 && info.mask_id == mask && info.cls_id == tokens.input_ids[0]);
        CHECK(info.n_added_tokens == 2 && info.n_added_tokens_of_pair == (i < 5 ? 3 : 4));
        OK(ernie_tokenizer_tokens(tokenizer, tokens.input_ids, tokens.n_tokens, &written));
        CHECK(ernie_result_count(written) == tokens.n_tokens);
        OK(ernie_result_text(written, 0, &token));
        CHECK(token.len == 5 && memcmp(token.data, "[CLS]", 6) == 0);
        ernie_result_free(written);
        written = NULL;
        FAILS(ernie_tokenizer_tokens(tokenizer, &far, 1, &written), ERNIE_ERROR_INVALID_ARGUMENT, "ids[0]");
        ernie_result_free(result);
        call.special_tokens = ERNIE_SPECIAL_TOKENS_PLAIN;
        OK(ernie_tokenizer_encode(tokenizer, &input, 1, &call, &result));
        OK(ernie_result_tokens(result, 0, &tokens));
        for (size_t k = 0; k < tokens.n_tokens; ++k) {
            CHECK(tokens.input_ids[k] != mask);
        }
        ernie_result_free(result);
        FAILS(ernie_tokenizer_decode(tokenizer, &mask, 1, 3, &written), ERNIE_ERROR_INVALID_ARGUMENT, "special_tokens");
        FAILS(ernie_tokenizer_token_id(tokenizer, str("a"), NULL), ERNIE_ERROR_INVALID_ARGUMENT, "id");
        FAILS(ernie_tokenizer_token_id(NULL, str("a"), &mask), ERNIE_ERROR_INVALID_ARGUMENT, "tokenizer");
        ernie_tokenizer_free(tokenizer);
    }
}

/* ---- a large batch from many threads ---- */

enum { N_TEXTS = 3000 };
static const ernie_tokenizer *shared;
static char *texts[N_TEXTS];
static int64_t sums[N_TEXTS];

static int64_t sum_of(const ernie_result *result, size_t index, size_t *input) {
    ernie_tokens tokens = ERNIE_TOKENS_INIT;
    int64_t sum = 0;
    OK(ernie_result_tokens(result, index, &tokens));
    for (size_t k = 0; k < tokens.n_tokens; ++k) {
        sum = sum * 31 + tokens.input_ids[k] % 1000;
        sum %= 1000000007;
    }
    *input = tokens.input;
    return sum;
}

static void *whole_batch(void *unused) {
    ernie_input *own = malloc(N_TEXTS * sizeof *own);
    (void)unused;
    ernie_result *result = NULL;
    size_t n_wrong = 0;
    for (size_t i = 0; i < N_TEXTS; ++i) {
        own[i] = text_input(texts[i]);
    }
    OK(ernie_tokenizer_encode(shared, own, N_TEXTS, NULL, &result));
    for (size_t i = 0; i < N_TEXTS; ++i) {
        size_t input = 0;
        n_wrong += sum_of(result, i, &input) != sums[i] || input != i;
    }
    ernie_result_free(result);
    own[2999] = text_input("\xFF");
    result = NULL;
    FAILS(ernie_tokenizer_encode(shared, own, N_TEXTS, NULL, &result), ERNIE_ERROR_INVALID_UTF8, "input 2999");
    free(own);
    return n_wrong == 0 && result == NULL ? NULL : (void *)1;
}

static void batches(const char *demo) {
    ernie_tokenizer *tokenizer = open_as(demo, "bert");
    pthread_t ids[4];
    for (size_t i = 0; i < N_TEXTS; ++i) {
        size_t length = 20 + i % 300, input = 0;
        ernie_input one;
        ernie_result *result = NULL;
        texts[i] = malloc(length + 1);
        for (size_t k = 0; k < length; ++k) {
            texts[i][k] = "abc de\tfg, h.i 12"[(i * 7 + k * 13 + k * k) % 17];
        }
        texts[i][length] = '\0';
        one = text_input(texts[i]);
        OK(ernie_tokenizer_encode(tokenizer, &one, 1, NULL, &result));
        sums[i] = sum_of(result, 0, &input);
        ernie_result_free(result);
    }
    shared = tokenizer;
    for (int i = 0; i < 4; ++i) {
        CHECK(pthread_create(&ids[i], NULL, whole_batch, NULL) == 0);
    }
    for (int i = 0; i < 4; ++i) {
        void *failed = NULL;
        pthread_join(ids[i], &failed);
        CHECK(failed == NULL);
    }
    for (size_t i = 0; i < N_TEXTS; ++i) {
        free(texts[i]);
    }
    ernie_tokenizer_free(tokenizer);
}

int main(int argc, char **argv) {
    ernie_tokenizer *tokenizer = NULL;
    if (argc != 3) {
        return 2;
    }
    OK(ernie_tokenizer_open(argv[1], NULL, &tokenizer));
    windows(tokenizer);
    ernie_tokenizer_free(tokenizer);
    ernie_tokenizer_free(NULL);
    units();
    schemes(argv[1], argv[2]);
    batches(argv[1]);
    fprintf(stderr, "tokenizers: %d checks failed\n", n_failed);
    return n_failed != 0;
}
