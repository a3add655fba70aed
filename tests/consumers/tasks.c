/* A C99 program that uses every task through the C interface: fields of items, windows, errors by input, vectors of
 * every type, ranking, bad input, threads. Argument: the fixtures. */
#include <math.h>
#include <pthread.h>
#include <stdint.h>

#include "check.h"

static const char *fixtures;

static ernie_model *open_with(const char *name, const char *key, const char *value) {
    char path[1024];
    ernie_options *options = ernie_options_new();
    ernie_model *model = NULL;
    snprintf(path, sizeof path, "%s/checkpoints/%s", fixtures, name);
    if (key != NULL) {
        OK(ernie_options_set(options, key, value));
    }
    OK(ernie_model_open(path, options, &model));
    ernie_options_free(options);
    return model;
}

static int is(ernie_str text, const char *wanted) {
    return text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0 && text.data[text.len] == '\0';
}

/* ---- words and masks ---- */

static void words(void) {
    ernie_model *model = open_with("paddle_ernie_ner", NULL, NULL);
    ernie_input inputs[2];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    const ernie_item *items = NULL;
    size_t n_items = 0;
    ernie_matrix matrix;
    inputs[0] = text_input("北京\x02 \x02上海");
    inputs[1] = text_input("");
    call.tags = ERNIE_TAGS_WORDS;
    call.outputs = ERNIE_OUTPUT_TOKENS;
    OK(ernie_infer(model, inputs, 2, &call, &result));
    OK(ernie_result_items(result, 0, &items, &n_items));
    CHECK(n_items == 3 && is(items[0].text, "北京") && items[0].id >= 0 && items[1].id == -1);
    CHECK(items[2].begin == 9 && items[2].end == 15 && items[2].parent == -1 && items[2].label.len == 0);
    OK(ernie_result_token_matrix(result, 0, &matrix));
    CHECK(matrix.n_rows == 2);
    OK(ernie_result_items(result, 1, &items, &n_items));
    CHECK(n_items == 0);
    FAILS(ernie_result_matrix(result, &matrix), ERNIE_ERROR_INVALID_ARGUMENT, "no matrix");
    ernie_result_free(result);
    call.tags = 2;
    FAILS(ernie_infer(model, inputs, 2, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "call.tags is 2");
    ernie_model_free(model);
}

static void masks(void) {
    ernie_model *model = open_with("paddle_ernie_pretraining", NULL, NULL);
    ernie_str candidates[2];
    ernie_input inputs[3];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    const ernie_item *items = NULL;
    size_t n_items = 0;
    int32_t code = -1;
    ernie_str message;
    candidates[0] = str("好");
    candidates[1] = str("北京");
    inputs[0] = text_input("今天[MASK]气");
    inputs[1] = text_input("今天");
    inputs[2] = text_input("\xff");
    call.candidates = candidates;
    call.n_candidates = 2;
    FAILS(ernie_infer(model, inputs, 2, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "input 1: no [MASK]");
    FAILS(ernie_infer(model, inputs, 3, &call, &result), ERNIE_ERROR_INVALID_UTF8, "input 2");
    call.errors = ERNIE_ERRORS_INPUT;
    OK(ernie_infer(model, inputs, 3, &call, &result));
    CHECK(ernie_result_count(result) == 3 && ernie_result_encoding_count(result) == 3);
    OK(ernie_result_items(result, 0, &items, &n_items));
    CHECK(n_items == 2 && items[0].begin == 6 && items[0].end == 12 && items[0].score >= items[1].score);
    OK(ernie_result_error(result, 0, &code, &message));
    CHECK(code == ERNIE_OK && message.len == 0);
    OK(ernie_result_error(result, 1, &code, &message));
    CHECK(code == ERNIE_ERROR_INVALID_ARGUMENT && strstr(message.data, "input 1: no [MASK]") != NULL);
    OK(ernie_result_error(result, 2, &code, NULL));
    CHECK(code == ERNIE_ERROR_INVALID_UTF8);
    FAILS(ernie_result_error(result, 3, &code, NULL), ERNIE_ERROR_INVALID_ARGUMENT, "3 entries");
    FAILS(ernie_result_error(result, 0, NULL, NULL), ERNIE_ERROR_INVALID_ARGUMENT, "code is NULL");
    OK(ernie_result_items(result, 1, &items, &n_items));
    CHECK(n_items == 0);
    ernie_result_free(result);
    /* All bad: the result has the shape of any other. */
    OK(ernie_infer(model, inputs + 1, 2, &call, &result));
    CHECK(ernie_result_count(result) == 2 && ernie_result_encoding_count(result) == 2);
    OK(ernie_result_items(result, 1, &items, &n_items));
    CHECK(n_items == 0);
    ernie_result_free(result);
    candidates[1] = str("龘");
    FAILS(ernie_infer(model, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "not in the vocabulary");
    call.candidates = NULL;
    FAILS(ernie_infer(model, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "call.candidates is NULL");
    call.n_candidates = 0;
    call.errors = 7;
    FAILS(ernie_infer(model, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "call.errors is 7");
    call.errors = 0;
    call.threshold = NAN;
    FAILS(ernie_infer(model, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "call.threshold");
    call.threshold = 1.5f;
    FAILS(ernie_infer(model, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "it goes from 0 to 1");
    ernie_model_free(model);
}

/* ---- answers and schemas ---- */

static void answers(void) {
    ernie_model *model = open_with("paddle_ernie_mrc", "task", "question_answering");
    const char *passage =
        "今天天气很好，我们去看书。他说这个不错，房间大小干净，服务很好。我在北京上海的房间看书，中国人是好人！";
    ernie_input inputs[2];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    const ernie_item *items = NULL;
    size_t n_items = 0;
    ernie_matrix matrix;
    ernie_tokens tokens = ERNIE_TOKENS_INIT;
    inputs[0] = pair_input("我在？", passage);
    inputs[1] = pair_input("我们？", passage);
    call.top_k = 2;
    call.doc_stride = 8;
    OK(ernie_infer(model, inputs, 2, &call, &result));
    OK(ernie_result_items(result, 1, &items, &n_items));
    CHECK(n_items == 2 && items[0].sequence == ERNIE_SEQUENCE_PAIR && items[0].score >= items[1].score);
    CHECK(strncmp(passage + items[0].begin, items[0].text.data, items[0].text.len) == 0);
    CHECK(items[0].text.len == items[0].end - items[0].begin);
    OK(ernie_result_matrix(result, &matrix));
    CHECK(matrix.n_rows == 2 && matrix.n_columns == 2);
    CHECK(close_to(matrix.data[2], items[0].begin_score + items[0].end_score));
    CHECK(ernie_result_count(result) == 2 && ernie_result_encoding_count(result) > 4);
    OK(ernie_result_tokens(result, ernie_result_encoding_count(result) - 1, &tokens));
    CHECK(tokens.input == 1 && tokens.window == tokens.n_windows - 1);
    FAILS(ernie_result_tokens(result, ernie_result_encoding_count(result), &tokens), ERNIE_ERROR_INVALID_ARGUMENT,
          "index");
    ernie_result_free(result);
    inputs[1] = text_input("我们？");
    FAILS(ernie_infer(model, inputs, 2, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT,
          "input 1: reading comprehension");
    call.truncation = ERNIE_TRUNCATION_ERROR;
    FAILS(ernie_infer(model, inputs, 1, &call, &result), ERNIE_ERROR_TEXT_TOO_LONG, "input 0");
    ernie_model_free(model);
}

static void schemas(void) {
    ernie_model *model = open_with("paddlenlp_uie", NULL, NULL);
    ernie_input input = text_input("今天天气很好");
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    const ernie_item *items = NULL;
    size_t n_items = 0, n_children = 0;
    call.schema = str("{\"人\": [\"书\"], \"房\": []}");
    call.threshold = 0.1f;
    OK(ernie_infer(model, &input, 1, &call, &result));
    OK(ernie_result_items(result, 0, &items, &n_items));
    for (size_t i = 0; i < n_items; ++i) {
        CHECK(items[i].parent < (int64_t)i);
        if (items[i].parent >= 0) {
            ++n_children;
            CHECK(is(items[i].label, "书") && is(items[items[i].parent].label, "人") && items[i].id == 1);
        }
        CHECK(items[i].end == items[i].begin || items[i].text.len == items[i].end - items[i].begin);
    }
    CHECK(n_children > 0);
    ernie_result_free(result);
    call.schema = str("{");
    FAILS(ernie_infer(model, &input, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "the schema is not JSON");
    call.schema = str("[3]");
    FAILS(ernie_infer(model, &input, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "schema[0] is 3");
    call.schema = str(NULL);
    FAILS(ernie_infer(model, &input, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "input 0: extraction wants");
    ernie_model_free(model);
}

/* ---- vectors and ranking ---- */

static void vectors(void) {
    ernie_model *model = open_with("paddle_ernie_pdparams", NULL, NULL);
    ernie_input inputs[2];
    ernie_call call = ERNIE_CALL_INIT;
    float floats[2][12], scales[2] = {0, 0}, scores[4];
    int8_t bytes[2][12];
    uint16_t halves[2][12];
    size_t width = 0;
    inputs[0] = text_input("今天天气很好");
    inputs[1] = text_input("我");
    OK(ernie_encode_into(model, inputs, 2, NULL, floats[0], 24, &width));
    CHECK(width == 12);
    OK(ernie_encode_as(model, inputs, 2, NULL, ERNIE_TYPE_INT8, bytes, sizeof bytes, scales, &width));
    for (size_t i = 0; i < 24; ++i) {
        float back = (float)bytes[i / 12][i % 12] * scales[i / 12];
        CHECK(fabsf(back - floats[i / 12][i % 12]) <= scales[i / 12] * 0.51f);
    }
    OK(ernie_encode_as(model, inputs, 2, NULL, ERNIE_TYPE_FLOAT16, halves, sizeof halves, NULL, NULL));
    CHECK((halves[0][0] >> 15) == (floats[0][0] < 0.0f));
    FAILS(ernie_encode_as(model, inputs, 2, NULL, ERNIE_TYPE_INT8, bytes, 23, NULL, NULL), ERNIE_ERROR_BUFFER_TOO_SMALL,
          "24 are needed");
    FAILS(ernie_encode_as(model, inputs, 2, NULL, ERNIE_TYPE_INT64, bytes, 999, NULL, NULL),
          ERNIE_ERROR_INVALID_ARGUMENT, "element_type is 7");
    FAILS(ernie_encode_as(model, inputs, 2, NULL, ERNIE_TYPE_INT8, bytes, sizeof bytes, NULL,
                          (size_t *)((char *)&width + 1)),
          ERNIE_ERROR_INVALID_ARGUMENT, "hidden_size is not aligned");
    FAILS(ernie_encode_as(model, inputs, 2, NULL, ERNIE_TYPE_INT8, NULL, 99, NULL, NULL), ERNIE_ERROR_INVALID_ARGUMENT,
          "vectors is NULL");
    call.errors = ERNIE_ERRORS_INPUT;
    FAILS(ernie_encode_into(model, inputs, 2, &call, floats[0], 24, NULL), ERNIE_ERROR_INVALID_ARGUMENT, "call.errors");
    OK(ernie_similarity(ERNIE_SIMILARITY_COSINE, floats[0], 2, floats[0], 2, 12, scores));
    CHECK(close_to(scores[0], 1.0f) && close_to(scores[3], 1.0f) && close_to(scores[1], scores[2]));
    OK(ernie_similarity(ERNIE_SIMILARITY_DOT, NULL, 0, floats[0], 2, 12, NULL));
    FAILS(ernie_similarity(2, floats[0], 1, floats[0], 1, 12, scores), ERNIE_ERROR_INVALID_ARGUMENT, "similarity is 2");
    FAILS(ernie_similarity(1, floats[0], 1, NULL, 1, 12, scores), ERNIE_ERROR_INVALID_ARGUMENT, "b is NULL");
    FAILS(ernie_similarity(1, floats[0], SIZE_MAX / 2, floats[0], 1, 12, scores), ERNIE_ERROR_INVALID_ARGUMENT,
          "a cannot");
    ernie_model_free(model);
}

static void ranking(void) {
    ernie_model *model = open_with("paddlenlp_cross_encoder", NULL, NULL);
    ernie_str candidates[3];
    ernie_result *result = NULL;
    const ernie_item *items = NULL;
    size_t n_items = 0;
    ernie_matrix matrix;
    ernie_call call = ERNIE_CALL_INIT;
    ernie_tokens tokens = ERNIE_TOKENS_INIT;
    int32_t code = -1;
    ernie_str message;
    float query[2] = {1.0f, 0.0f}, kept[3][2] = {{0.0f, 1.0f}, {2.0f, 0.0f}, {1.0f, 1.0f}};
    candidates[0] = str("今天天气很好");
    candidates[1] = str("我");
    candidates[2] = str("我们去看书");
    OK(ernie_rank(model, str("天气"), candidates, 3, NULL, &result));
    OK(ernie_result_items(result, 0, &items, &n_items));
    OK(ernie_result_matrix(result, &matrix));
    CHECK(ernie_result_count(result) == 1 && n_items == 3 && matrix.n_rows == 3 && matrix.n_columns == 1);
    for (size_t i = 0; i < 3; ++i) {
        CHECK(close_to(items[i].score, matrix.data[items[i].id]) && (i == 0 || items[i].score <= items[i - 1].score));
    }
    ernie_result_free(result);
    OK(ernie_rank(model, str("天气"), NULL, 0, NULL, &result));
    ernie_result_free(result);
    FAILS(ernie_rank(model, str("天气"), NULL, 1, NULL, &result), ERNIE_ERROR_INVALID_ARGUMENT, "candidates is NULL");
    candidates[1] = str("\xc3");
    FAILS(ernie_rank(model, str("天气"), candidates, 3, NULL, &result), ERNIE_ERROR_INVALID_UTF8, "candidate 1");
    call.errors = ERNIE_ERRORS_INPUT;
    OK(ernie_rank(model, str("天气"), candidates, 3, &call, &result));
    OK(ernie_result_items(result, 0, &items, &n_items));
    OK(ernie_result_error(result, 1, &code, &message));
    CHECK(n_items == 2 && code == ERNIE_ERROR_INVALID_UTF8 && strstr(message.data, "candidate 1") != NULL);
    OK(ernie_result_matrix(result, &matrix));
    CHECK(matrix.n_rows == 3 && isnan(matrix.data[1]) && !isnan(matrix.data[2]));
    OK(ernie_result_tokens(result, 2, &tokens));
    CHECK(tokens.input == 2 && tokens.n_truncated_tokens == 0);
    ernie_result_free(result);
    OK(ernie_rank_vectors(query, kept[0], 3, 2, ERNIE_SIMILARITY_COSINE, 2, &result));
    OK(ernie_result_items(result, 0, &items, &n_items));
    CHECK(n_items == 2 && items[0].id == 1 && items[1].id == 2 && close_to(items[0].score, 1.0f));
    ernie_result_free(result);
    FAILS(ernie_rank_vectors(query, NULL, 3, 2, 0, 0, &result), ERNIE_ERROR_INVALID_ARGUMENT, "candidates is NULL");
    FAILS(ernie_rank_vectors(query, NULL, (size_t)1 << 45, 0, 0, 0, &result), ERNIE_ERROR_INVALID_ARGUMENT,
          "no numbers");
    ernie_model_free(model);
    model = open_with("paddle_ernie_ner", NULL, NULL);
    FAILS(ernie_rank(model, str("a"), candidates, 1, NULL, &result), ERNIE_ERROR_UNSUPPORTED, "ranks nothing");
    ernie_model_free(model);
}

/* ---- threads: a const model answers all of them the same ---- */

struct shared {
    const ernie_model *model;
    float score;
    size_t n_items;
};

static void *ask(void *argument) {
    const struct shared *shared = argument;
    ernie_input input = text_input("今天天气很好，我们去看书。他说这个不错");
    ernie_call call = ERNIE_CALL_INIT;
    call.schema = str("{\"人\": [\"书\", \"房\"]}");
    call.threshold = 0.1f;
    for (int i = 0; i < 20; ++i) {
        ernie_result *result = NULL;
        const ernie_item *items = NULL;
        size_t n_items = 0;
        OK(ernie_infer(shared->model, &input, 1, &call, &result));
        OK(ernie_result_items(result, 0, &items, &n_items));
        CHECK(n_items == shared->n_items && n_items > 0 && items[n_items - 1].score == shared->score);
        ernie_result_free(result);
    }
    return NULL;
}

static void threads(void) {
    ernie_model *model = open_with("paddlenlp_uie", NULL, NULL);
    ernie_input input = text_input("今天天气很好，我们去看书。他说这个不错");
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    const ernie_item *items = NULL;
    struct shared shared;
    pthread_t all[4];
    call.schema = str("{\"人\": [\"书\", \"房\"]}");
    call.threshold = 0.1f;
    OK(ernie_infer(model, &input, 1, &call, &result));
    shared.model = model;
    OK(ernie_result_items(result, 0, &items, &shared.n_items));
    shared.score = items[shared.n_items - 1].score;
    ernie_result_free(result);
    for (size_t i = 0; i < 4; ++i) {
        CHECK(pthread_create(&all[i], NULL, ask, &shared) == 0);
    }
    for (size_t i = 0; i < 4; ++i) {
        pthread_join(all[i], NULL);
    }
    ernie_model_free(model);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "tasks FIXTURES\n");
        return 2;
    }
    fixtures = argv[1];
    words();
    masks();
    answers();
    schemas();
    vectors();
    ranking();
    threads();
    return n_failed == 0 ? 0 : 1;
}
