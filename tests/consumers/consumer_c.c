/* A C99 program that uses every call and checks what it gives. Arguments: the demo model, the fixtures. */
#include "check.h"
#include <math.h>

static void library(void) {
    CHECK(ernie_version() == ERNIE_VERSION_NUMBER);
    CHECK(strstr(ernie_build_info(), ERNIE_VERSION_STRING) != NULL);
    CHECK(strcmp(ernie_status_code_name(ERNIE_ERROR_NOT_FOUND), "NOT_FOUND") == 0);
    CHECK(ernie_status_code(NULL) == ERNIE_OK && ernie_status_message(NULL)[0] == '\0');
}

static void model_facts(const ernie_model *model) {
    ernie_model_info info = ERNIE_MODEL_INFO_INIT;
    OK(ernie_model_info_get(model, &info));
    CHECK(strcmp(info.family, "huggingface") == 0 && strcmp(info.task, "sequence_classification") == 0);
    CHECK(strcmp(info.provider, "cpu") == 0 && strcmp(info.tokenizer, "bert") == 0);
    CHECK(info.n_labels == 2 && info.hidden_size > 0 && info.max_tokens > 0 && info.vocab_size > 0);
    CHECK(strcmp(ernie_model_label(model, 1), "positive") == 0 && ernie_model_label(model, 2) == NULL);
    CHECK(strstr(ernie_runtime_info(), "ONNX Runtime 1.") != NULL);
}

static void classification(const ernie_model *model) {
    ernie_input inputs[3];
    ernie_result *batch = NULL;
    ernie_matrix logits;
    inputs[0] = text_input("房间很干净，服务热情，下次还来");
    inputs[1] = text_input("");
    inputs[2] = text_input("质量太差，用了一天就坏了，后悔买了");
    OK(ernie_infer(model, inputs, 3, NULL, &batch));
    CHECK(ernie_result_count(batch) == 3);
    OK(ernie_result_matrix(batch, &logits));
    CHECK(logits.n_rows == 3 && logits.n_columns == 2);
    for (size_t i = 0; i < 3; ++i) {
        const ernie_item *items = NULL;
        ernie_matrix alone_logits;
        ernie_result *alone = NULL;
        size_t n = 0;
        OK(ernie_result_items(batch, i, &items, &n));
        CHECK(n == 2 && items[0].score >= items[1].score);
        CHECK(close_to(items[0].score + items[1].score, 1.0f));
        CHECK(strcmp(items[0].text.data, ernie_model_label(model, (size_t)items[0].id)) == 0);
        OK(ernie_infer(model, &inputs[i], 1, NULL, &alone));
        OK(ernie_result_matrix(alone, &alone_logits));
        CHECK(close_to(alone_logits.data[0], logits.data[2 * i]));
        CHECK(close_to(alone_logits.data[1], logits.data[2 * i + 1]));
        if (i != 1) {
            CHECK(items[0].id == (i == 0 ? 1 : 0));
        }
        ernie_result_free(alone);
    }
    ernie_result_free(batch);
}

static void vectors(const ernie_model *model) {
    ernie_input inputs[2];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    ernie_matrix pooled, tokens;
    float *buffer;
    size_t width = 0;
    inputs[0] = text_input("房间很干净");
    inputs[1] = pair_input("好", "不好");
    call.pooling = ERNIE_POOLING_MEAN;
    call.outputs = ERNIE_OUTPUT_TOKENS | ERNIE_OUTPUT_RAW;
    OK(ernie_encode(model, inputs, 2, &call, &result));
    OK(ernie_result_matrix(result, &pooled));
    OK(ernie_result_token_matrix(result, 0, &tokens));
    CHECK(pooled.n_rows == 2 && tokens.n_columns == pooled.n_columns && tokens.n_rows == 7);
    for (size_t d = 0; d < pooled.n_columns; ++d) {
        double sum = 0;
        for (size_t t = 0; t < tokens.n_rows; ++t) {
            sum += (double)tokens.data[t * tokens.n_columns + d];
        }
        CHECK(close_to(pooled.data[d], (float)(sum / (double)tokens.n_rows)));
    }
    CHECK(ernie_result_tensor_count(result, 0) == 3 && ernie_result_tensor_count(result, 2) == 0);
    ernie_result_free(result);

    call.outputs = 0;
    call.normalize = ERNIE_NORMALIZE_L2;
    buffer = calloc(2 * pooled.n_columns, sizeof *buffer);
    FAILS(ernie_encode_into(model, inputs, 2, &call, buffer, 3, &width), ERNIE_ERROR_BUFFER_TOO_SMALL, "3 floats");
    CHECK(width == 0 && buffer[0] == 0.0f);
    OK(ernie_encode_into(model, inputs, 2, &call, buffer, 2 * pooled.n_columns, &width));
    CHECK(width == pooled.n_columns);
    for (size_t i = 0; i < 2; ++i) {
        double length = 0;
        for (size_t d = 0; d < width; ++d) {
            length += (double)buffer[i * width + d] * (double)buffer[i * width + d];
        }
        CHECK(fabs(length - 1.0) < 1e-5);
    }
    free(buffer);
}

static void tokenizer(const ernie_model *model, const char *dir) {
    const char *text = "房间very好\xF0\x9F\x98\x80";
    ernie_tokenizer *own = NULL, *other = NULL;
    ernie_input inputs[3];
    ernie_result *result = NULL, *decoded = NULL;
    ernie_tokens tokens = ERNIE_TOKENS_INIT, nul = ERNIE_TOKENS_INIT, pair = ERNIE_TOKENS_INIT;
    ernie_str written;
    OK(ernie_model_tokenizer(model, &own));
    OK(ernie_tokenizer_open(dir, NULL, &other));
    CHECK(ernie_tokenizer_vocab_size(own) == ernie_tokenizer_vocab_size(other));
    inputs[0] = text_input(text);
    inputs[1].text.data = "好\0坏"; /* a NUL byte in the text */
    inputs[1].text.len = 7;
    inputs[1].pair = str(NULL);
    inputs[2] = pair_input("好", "");
    OK(ernie_tokenizer_encode(own, inputs, 3, NULL, &result));
    ernie_tokenizer_free(own);
    OK(ernie_result_tokens(result, 0, &tokens));
    CHECK(tokens.n_tokens >= 5 && tokens.offsets[0].end == 0 && tokens.sequence[0] == 255);
    CHECK(tokens.offsets[1].begin == 0 && tokens.offsets[1].end == 3 && tokens.sequence[1] == 0);
    CHECK(tokens.offsets[2].begin == 3 && tokens.offsets[2].end == 6 && tokens.attention_mask[2] == 1);
    CHECK(tokens.offsets[tokens.n_tokens - 2].end == strlen(text) && tokens.n_truncated_tokens == 0);
    OK(ernie_result_tokens(result, 1, &nul));
    CHECK(nul.n_tokens == 4 && nul.offsets[2].begin == 4 && nul.offsets[2].end == 7);
    OK(ernie_result_tokens(result, 2, &pair));
    CHECK(pair.n_tokens == 4 && pair.token_type_ids[3] == 1); /* [CLS] A [SEP] [SEP] */
    OK(ernie_tokenizer_decode(other, tokens.input_ids, 3, ERNIE_DECODE_SKIP_SPECIAL_TOKENS, &decoded));
    OK(ernie_result_text(decoded, 0, &written));
    CHECK(strstr(written.data, "房") != NULL && strlen(written.data) == written.len);
    ernie_result_free(decoded);
    ernie_result_free(result);
    ernie_tokenizer_free(other);
}

static void tensors(const char *fixtures) {
    char path[1024];
    float values[3] = {1.5f, -2.0f, 0.25f};
    int64_t shape[1] = {3};
    ernie_tensor in, out;
    ernie_options *options = ernie_options_new();
    ernie_model *model = NULL;
    ernie_result *result = NULL;
    snprintf(path, sizeof path, "%s/identity", fixtures);
    OK(ernie_options_set(options, "task", "tensors"));
    OK(ernie_model_open(path, options, &model));
    ernie_options_free(options);
    in.name = "x";
    in.element_type = ERNIE_TYPE_FLOAT32;
    in.n_dims = 1;
    in.shape = shape;
    in.data = values;
    in.n_bytes = sizeof values;
    OK(ernie_infer_tensors(model, &in, 1, &result));
    ernie_model_free(model);
    CHECK(ernie_result_count(result) == 1 && ernie_result_tensor_count(result, 0) == 1);
    OK(ernie_result_tensor(result, 0, 0, &out)); /* a result outlives its model */
    CHECK(strcmp(out.name, "y") == 0 && out.element_type == ERNIE_TYPE_FLOAT32 && out.n_dims == 1 && out.shape[0] == 3);
    CHECK(out.n_bytes == sizeof values && memcmp(out.data, values, sizeof values) == 0);
    ernie_result_free(result);
}

/* A checkpoint whose fine-tuned weights lie apart from its config, by text and by token ids. */
static void checkpoint(const char *fixtures) {
    char dir[1024], weights[1024];
    int64_t ids[2][4] = {{1, 5, 6, 2}, {1, 5, 2, 0}};
    int64_t bad[1][2] = {{1, 100000}};
    int64_t shape[2] = {2, 4};
    ernie_tensor in, out;
    ernie_input input;
    ernie_call call = ERNIE_CALL_INIT;
    ernie_options *options = ernie_options_new();
    ernie_model *model = NULL;
    ernie_result *result = NULL;
    ernie_model_info info = ERNIE_MODEL_INFO_INIT;
    ernie_matrix logits;
    snprintf(dir, sizeof dir, "%s/checkpoints/paddle_ernie_finetuned/pretrained", fixtures);
    snprintf(weights, sizeof weights, "%s/checkpoints/paddle_ernie_finetuned/save_dir/ckpt.bin", fixtures);
    OK(ernie_options_set(options, "weights", weights));
    OK(ernie_model_open(dir, options, &model));
    ernie_options_free(options);
    OK(ernie_model_info_get(model, &info));
    CHECK(strcmp(info.family, "paddle-ernie") == 0 && strcmp(info.task, "sequence_classification") == 0);
    CHECK(info.n_labels == 3 && info.hidden_size == 8 && strcmp(info.tokenizer, "ernie") == 0);
    input = text_input("今天天气很好。");
    call.outputs = ERNIE_OUTPUT_RAW;
    OK(ernie_infer(model, &input, 1, &call, &result));
    OK(ernie_result_matrix(result, &logits));
    OK(ernie_result_tensor(result, 0, 0, &out));
    CHECK(strcmp(out.name, "logits") == 0 && out.shape[0] == 1 && out.shape[1] == 3);
    CHECK(memcmp(out.data, logits.data, 3 * sizeof(float)) == 0);
    ernie_result_free(result);

    in.name = "input_ids";
    in.element_type = ERNIE_TYPE_INT64;
    in.n_dims = 2;
    in.shape = shape;
    in.data = ids;
    in.n_bytes = sizeof ids;
    OK(ernie_infer_tensors(model, &in, 1, &result));
    OK(ernie_result_tensor(result, 0, 0, &out));
    CHECK(strcmp(out.name, "logits") == 0 && out.n_dims == 2 && out.shape[0] == 2 && out.shape[1] == 3);
    ernie_result_free(result);
    shape[0] = 1;
    shape[1] = 2;
    in.data = bad;
    in.n_bytes = sizeof bad;
    FAILS(ernie_infer_tensors(model, &in, 1, &result), ERNIE_ERROR_INVALID_ARGUMENT,
          "input_ids[0][1] is 100000, not a number from 0 and below");
    in.name = "tokens";
    FAILS(ernie_infer_tensors(model, &in, 1, &result), ERNIE_ERROR_INVALID_ARGUMENT, "\"tokens\"");
    ernie_model_free(model);
}

static void counters(const ernie_model *model) {
    ernie_model_statistics before = ERNIE_MODEL_STATISTICS_INIT, after = ERNIE_MODEL_STATISTICS_INIT;
    ernie_input inputs[2];
    ernie_result *result = NULL;
    inputs[0] = text_input("好");
    inputs[1] = text_input("房间很干净");
    OK(ernie_model_stats(model, &before));
    OK(ernie_infer(model, inputs, 2, NULL, &result));
    ernie_result_free(result);
    OK(ernie_model_stats(model, &after));
    CHECK(after.n_texts == before.n_texts + 2 && after.n_runs > before.n_runs);
    CHECK(after.n_tokens == before.n_tokens + 3 + 7 && after.run_time_ns > before.run_time_ns);
}

int main(int argc, char **argv) {
    ernie_model *model = NULL, *owner = NULL;
    if (argc != 3) {
        return 2;
    }
    library();
    OK(ernie_model_open(argv[1], NULL, &model));
    owner = ernie_model_retain(model);
    ernie_model_free(model);
    model_facts(owner);
    classification(owner);
    vectors(owner);
    tokenizer(owner, argv[1]);
    tensors(argv[2]);
    checkpoint(argv[2]);
    counters(owner);
    ernie_model_free(owner);
    printf("consumer_c: %d checks failed\n", n_failed);
    return n_failed != 0;
}
