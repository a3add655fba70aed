/* Every bad input gives a code and a message that says what and where; the handle works afterwards; nothing is
 * printed. Arguments: the demo model, the fixtures, the fake runtime. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char work[] = "/tmp/ernie_bad_input.XXXXXX";
static const char *demo, *fixtures, *fake_runtime;

/* ---- files ---- */

static const char *at(const char *dir, const char *name) {
    static char paths[8][1024];
    static int next = 0;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static const char *new_dir(const char *name) {
    const char *path = at(work, name);
    mkdir(path, 0777);
    return path;
}

static void write_file(const char *path, const char *data, size_t length) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, length, file) != length) {
        fprintf(report, "cannot write %s\n", path);
        exit(3);
    }
    fclose(file);
}

static size_t read_file(const char *path, char *data, size_t room) {
    FILE *file = fopen(path, "rb");
    size_t length = file == NULL ? 0 : fread(data, 1, room, file);
    if (file != NULL) {
        fclose(file);
    }
    return length;
}

/* ---- the handle that must survive everything ---- */

static ernie_model *model = NULL;
static float wanted[8];

static void still_works(void) {
    ernie_input input = text_input("房间很干净");
    ernie_result *result = NULL;
    ernie_matrix matrix;
    OK(ernie_infer(model, &input, 1, NULL, &result));
    OK(ernie_result_matrix(result, &matrix));
    if (wanted[0] == 0.0f) {
        memcpy(wanted, matrix.data, matrix.n_columns * sizeof *wanted);
    }
    CHECK(matrix.n_columns == 2 && close_to(matrix.data[0], wanted[0]) && close_to(matrix.data[1], wanted[1]));
    ernie_result_free(result);
}

static void open_fails(const char *path, int32_t code, const char *says) {
    ernie_model *out = (ernie_model *)&work; /* must stay as it is */
    FAILS(ernie_model_open(path, NULL, &out), code, says);
    CHECK(out == (ernie_model *)&work);
}

static void open_with(const char *path, const char *key, const char *value, int32_t code, const char *says) {
    ernie_options *options = ernie_options_new();
    ernie_model *out = NULL;
    OK(ernie_options_set(options, key, value));
    FAILS(ernie_model_open(path, options, &out), code, says);
    ernie_options_free(options);
    ernie_model_free(out);
}

/* ---- runtimes: each in a process of its own, as a process has one ---- */

static void runtime_fails(const char *path, const char *says) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        n_failed = 0;
        setenv("ERNIE_ORT_PATH", path, 1);
        open_fails(demo, ERNIE_ERROR_RUNTIME_MISSING, says);
        open_fails(demo, ERNIE_ERROR_RUNTIME_MISSING, says); /* and again */
        FAILS(ernie_runtime_load(path), ERNIE_ERROR_RUNTIME_MISSING, says);
        CHECK(ernie_runtime_info()[0] == '\0');
        fflush(report);
        _exit(n_failed != 0);
    }
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void runtimes(void) {
    const char *text = at(work, "text.so");
    write_file(text, "not a library", 13);
    runtime_fails(text, "text.so");
    runtime_fails(at(work, "nothing.so"), "nothing.so");
    runtime_fails(fake_runtime, "1.10.0");
}

/* ---- directories ---- */

static void checkpoints(void) {
    const char *finetuned = at(fixtures, "checkpoints/paddle_ernie_finetuned/pretrained");
    open_with(finetuned, "weights", "/nowhere/ckpt.bin", ERNIE_ERROR_NOT_FOUND, "/nowhere/ckpt.bin");
    open_with(finetuned, "weights", "vocab.txt", ERNIE_ERROR_INVALID_MODEL, "vocab.txt");
    open_with(finetuned, "task", "sequence_classification", ERNIE_ERROR_INVALID_MODEL, "classifier");
    open_fails(at(fixtures, "checkpoints/refused/pickle_os_system"), ERNIE_ERROR_INVALID_MODEL, "posix.system");
    open_fails(at(fixtures, "checkpoints/refused/gram"), ERNIE_ERROR_UNSUPPORTED, "ernie_gram");
    open_fails(at(fixtures, "checkpoints/refused/nan_weight"), ERNIE_ERROR_INVALID_MODEL, "ffn.o.weight");
    open_fails(at(fixtures, "checkpoints/refused/wrong_shape"), ERNIE_ERROR_INVALID_MODEL, "ffn.i.weight");
    open_fails(at(fixtures, "checkpoints/refused/index_traversal"), ERNIE_ERROR_INVALID_MODEL, "../outside");
    CHECK(access("pwned_marker_file", F_OK) != 0);
}

static void directories(void) {
    static char graph[1 << 20];
    const char *dir;
    size_t length;
    open_fails("/nowhere/at/all", ERNIE_ERROR_NOT_FOUND, "/nowhere/at/all");
    open_fails("", ERNIE_ERROR_INVALID_ARGUMENT, "path");
    open_fails(new_dir("empty"), ERNIE_ERROR_NOT_FOUND, "no model here");
    dir = new_dir("broken_json");
    write_file(at(dir, "model.onnx"), "x", 1);
    write_file(at(dir, "config.json"), "{\"hidden_size\": ", 16);
    open_fails(dir, ERNIE_ERROR_INVALID_MODEL, "config.json");
    write_file(at(dir, "config.json"), "{\"hidden_size\": \"8\"}", 20);
    open_fails(dir, ERNIE_ERROR_INVALID_MODEL, "hidden_size");
    dir = new_dir("broken_graph");
    length = read_file(at(fixtures, "sums/model.onnx"), graph, sizeof graph);
    CHECK(length > 100);
    write_file(at(dir, "model.onnx"), "", 0);
    open_fails(dir, ERNIE_ERROR_INVALID_MODEL, "empty");
    write_file(at(dir, "model.onnx"), graph, length / 2);
    open_fails(dir, ERNIE_ERROR_INVALID_MODEL, "model.onnx");
    write_file(at(dir, "model.onnx"), "<html>not found</html>", 22);
    open_fails(dir, ERNIE_ERROR_INVALID_MODEL, "not an ONNX graph");
    open_fails(at(fixtures, "unknown_inputs"), ERNIE_ERROR_UNSUPPORTED, "left int64[?,?], right int64[?,?]");
    open_fails(at(fixtures, "sums/vocab.txt"), ERNIE_ERROR_INVALID_ARGUMENT, "neither a directory nor an .onnx file");
    dir = new_dir("checkpoint");
    write_file(at(dir, "model.safetensors"), "x", 1);
    open_fails(dir, ERNIE_ERROR_NOT_FOUND, "no config");
    write_file(at(dir, "config.json"), "{\"model_type\": \"ernie\"}", 23);
    open_fails(dir, ERNIE_ERROR_NOT_FOUND, "vocab.txt");
    open_with(dir, "task", "tensors", ERNIE_ERROR_INVALID_MODEL, "model.safetensors");
    checkpoints();
    open_with(demo, "provider", "cuda", ERNIE_ERROR_PROVIDER_UNAVAILABLE, "cuda");
    open_with(demo, "provider", "tensorrt", ERNIE_ERROR_PROVIDER_UNAVAILABLE, "tensorrt");
    open_with(demo, "max_tokens", "100000", ERNIE_ERROR_INVALID_ARGUMENT, "100000");
    open_with(demo, "task", "question_answering", ERNIE_ERROR_UNSUPPORTED, "sequence_classification");
    open_with(demo, "graph", "none.onnx", ERNIE_ERROR_NOT_FOUND, "none.onnx");
    open_with(at(fixtures, "unknown_inputs"), "inputs", "input_ids=nothing", ERNIE_ERROR_INVALID_ARGUMENT, "nothing");
    still_works();
}

/* ---- texts ---- */

static void texts(void) {
    ernie_input inputs[3];
    ernie_call call = ERNIE_CALL_INIT;
    ernie_result *result = NULL;
    ernie_tokens tokens = ERNIE_TOKENS_INIT;
    ernie_model_info info = ERNIE_MODEL_INFO_INIT;
    char *longest = malloc(100000);
    inputs[0] = text_input("好");
    inputs[1] = text_input("好\xFF");
    inputs[2] = pair_input("好", "ab\xE5\xA5");
    FAILS(ernie_infer(model, inputs, 2, NULL, &result), ERNIE_ERROR_INVALID_UTF8, "input 1: the text");
    FAILS(ernie_infer(model, inputs, 2, NULL, &result), ERNIE_ERROR_INVALID_UTF8, "offset 3");
    FAILS(ernie_encode(model, inputs + 2, 1, NULL, &result), ERNIE_ERROR_INVALID_UTF8, "input 0: the pair");
    inputs[1].text.data = NULL;
    inputs[1].text.len = 3;
    FAILS(ernie_infer(model, inputs, 2, NULL, &result), ERNIE_ERROR_INVALID_ARGUMENT, "input 1");
    CHECK(result == NULL);
    OK(ernie_infer(model, NULL, 0, NULL, &result));
    CHECK(ernie_result_count(result) == 0);
    ernie_result_free(result);
    inputs[0].text.data = NULL; /* an empty text may be NULL */
    inputs[0].text.len = 0;
    OK(ernie_infer(model, inputs, 1, NULL, &result));
    ernie_result_free(result);

    OK(ernie_model_info_get(model, &info));
    memset(longest, 'a', 99999);
    for (size_t i = 1; i < 99999; i += 2) {
        longest[i] = ' ';
    }
    longest[99999] = '\0';
    inputs[1] = text_input(longest);
    OK(ernie_infer(model, inputs, 2, NULL, &result));
    OK(ernie_result_tokens(result, 1, &tokens));
    CHECK(tokens.n_tokens == info.max_tokens && tokens.n_truncated_tokens == 50000 - (info.max_tokens - 2));
    OK(ernie_result_tokens(result, 0, &tokens));
    CHECK(tokens.n_tokens == 2 && tokens.n_truncated_tokens == 0);
    ernie_result_free(result);
    result = NULL;
    call.truncation = ERNIE_TRUNCATION_ERROR;
    FAILS(ernie_infer(model, inputs, 2, &call, &result), ERNIE_ERROR_TEXT_TOO_LONG, "input 1");
    call.max_tokens = info.max_tokens + 1;
    FAILS(ernie_infer(model, inputs, 2, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "max_tokens");
    call.max_tokens = 1;
    FAILS(ernie_infer(model, inputs, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "special tokens");
    CHECK(result == NULL);
    free(longest);
    still_works();
}

/* ---- calls, options, NULL ---- */

static void calls(void) {
    ernie_input input = text_input("好");
    ernie_result *result = NULL;
    ernie_call call = ERNIE_CALL_INIT;
    struct {
        ernie_call known;
        uint32_t more[2];
    } newer;
    uint32_t *fields[] = {&call.pooling,        &call.normalize, &call.truncation,
                          &call.special_tokens, &call.problem,   &call.outputs};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i) {
        *fields[i] = 77;
        FAILS(ernie_encode(model, &input, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "call.");
        *fields[i] = 0;
    }
    call.struct_size = 0;
    FAILS(ernie_encode(model, &input, 1, &call, &result), ERNIE_ERROR_INVALID_ARGUMENT, "struct_size");
    call.struct_size = 8; /* an older header: only pooling is known */
    call.pooling = ERNIE_POOLING_CLS;
    OK(ernie_encode(model, &input, 1, &call, &result));
    ernie_result_free(result);
    result = NULL;
    memset(&newer, 0, sizeof newer);
    newer.known.struct_size = sizeof newer;
    OK(ernie_encode(model, &input, 1, &newer.known, &result));
    ernie_result_free(result);
    result = NULL;
    newer.more[1] = 1;
    FAILS(ernie_encode(model, &input, 1, &newer.known, &result), ERNIE_ERROR_INVALID_ARGUMENT, "does not know");
    CHECK(result == NULL);
    still_works();
}

static void options(void) {
    ernie_options *o = ernie_options_new();
    FAILS(ernie_options_set(o, "thread", "1"), ERNIE_ERROR_INVALID_ARGUMENT, "threads");
    FAILS(ernie_options_set(o, "threads", "many"), ERNIE_ERROR_INVALID_ARGUMENT, "many");
    FAILS(ernie_options_set(o, "k\xFF", "1"), ERNIE_ERROR_INVALID_UTF8, "key");
    FAILS(ernie_options_set_provider(o, "abacus", 0), ERNIE_ERROR_INVALID_ARGUMENT, "abacus");
    FAILS(ernie_options_set_provider(o, "cuda", -1), ERNIE_ERROR_INVALID_ARGUMENT, "-1");
    CHECK(!ernie_provider_check(NULL) && !ernie_provider_check(o));
    OK(ernie_options_set_provider(o, "cuda", 0));
    FAILS(ernie_provider_check(o), ERNIE_ERROR_PROVIDER_UNAVAILABLE, "CUDAExecutionProvider");
    OK(ernie_options_set(o, "provider_libraries", "/nowhere"));
    FAILS(ernie_provider_check(o), ERNIE_ERROR_INVALID_ARGUMENT, "/nowhere");
    FAILS(ernie_options_set(o, "fallback", "gpu"), ERNIE_ERROR_INVALID_ARGUMENT, "error or cpu");
    FAILS(ernie_options_set(o, "device_memory_mb", "-1"), ERNIE_ERROR_INVALID_ARGUMENT, "device_memory_mb");
    FAILS(ernie_set_log_callback(NULL, NULL, 9), ERNIE_ERROR_INVALID_ARGUMENT, "9");
    FAILS(ernie_runtime_load("/nowhere.so"), ERNIE_ERROR_INVALID_ARGUMENT, "already in use");
    ernie_options_free(o);
}

static void nulls(void) {
    const int32_t code = ERNIE_ERROR_INVALID_ARGUMENT;
    ernie_input input = text_input("好");
    ernie_result *result = NULL;
    ernie_tokenizer *tokenizer = NULL;
    ernie_options *o = ernie_options_new();
    ernie_model_info info = ERNIE_MODEL_INFO_INIT;
    ernie_model_statistics statistics = ERNIE_MODEL_STATISTICS_INIT;
    ernie_tokens tokens = ERNIE_TOKENS_INIT;
    ernie_matrix matrix;
    ernie_tensor tensor;
    ernie_str text;
    const ernie_item *items;
    ernie_model *out = NULL;
    int64_t id = 1;
    float vector[1];
    size_t n;
    FAILS(ernie_runtime_load(NULL), code, "path is NULL");
    FAILS(ernie_options_set(NULL, "threads", "1"), code, "options is NULL");
    FAILS(ernie_options_set(o, NULL, "1"), code, "key is NULL");
    FAILS(ernie_options_set(o, "threads", NULL), code, "value is NULL");
    FAILS(ernie_options_set_provider(NULL, "cpu", 0), code, "options is NULL");
    FAILS(ernie_options_set_provider(o, NULL, 0), code, "provider is NULL");
    FAILS(ernie_model_open(NULL, o, &out), code, "path is NULL");
    FAILS(ernie_model_open(demo, o, NULL), code, "model is NULL");
    FAILS(ernie_model_info_get(NULL, &info), code, "model is NULL");
    FAILS(ernie_model_info_get(model, NULL), code, "info is NULL");
    FAILS(ernie_model_stats(NULL, &statistics), code, "model is NULL");
    FAILS(ernie_model_stats(model, NULL), code, "statistics is NULL");
    FAILS(ernie_model_tokenizer(NULL, &tokenizer), code, "model is NULL");
    FAILS(ernie_model_tokenizer(model, NULL), code, "tokenizer is NULL");
    CHECK(ernie_model_label(NULL, 0) == NULL && ernie_model_retain(NULL) == NULL);
    FAILS(ernie_encode(NULL, &input, 1, NULL, &result), code, "model is NULL");
    FAILS(ernie_encode(model, NULL, 1, NULL, &result), code, "inputs is NULL");
    FAILS(ernie_encode(model, &input, 1, NULL, NULL), code, "result is NULL");
    FAILS(ernie_encode(model, &input, SIZE_MAX, NULL, &result), code, "inputs");
    FAILS(ernie_infer(NULL, &input, 1, NULL, &result), code, "model is NULL");
    FAILS(ernie_infer(model, NULL, 1, NULL, &result), code, "inputs is NULL");
    FAILS(ernie_infer(model, &input, 1, NULL, NULL), code, "result is NULL");
    FAILS(ernie_encode_into(NULL, &input, 1, NULL, vector, 1, &n), code, "model is NULL");
    FAILS(ernie_encode_into(model, &input, 1, NULL, NULL, 100000, NULL), code, "vectors is NULL");
    FAILS(ernie_infer_tensors(NULL, NULL, 0, &result), code, "model is NULL");
    FAILS(ernie_infer_tensors(model, NULL, 1, &result), code, "tensors is NULL");
    FAILS(ernie_infer_tensors(model, NULL, 0, &result), code, "is missing");
    FAILS(ernie_infer_tensors(model, NULL, 0, NULL), code, "result is NULL");
    FAILS(ernie_tokenizer_open(NULL, NULL, &tokenizer), code, "dir is NULL");
    FAILS(ernie_tokenizer_open(demo, NULL, NULL), code, "tokenizer is NULL");
    FAILS(ernie_tokenizer_open("/nowhere", NULL, &tokenizer), ERNIE_ERROR_NOT_FOUND, "/nowhere");
    FAILS(ernie_tokenizer_encode(NULL, &input, 1, NULL, &result), code, "tokenizer is NULL");
    FAILS(ernie_tokenizer_decode(NULL, &id, 1, 0, &result), code, "tokenizer is NULL");
    CHECK(ernie_tokenizer_vocab_size(NULL) == 0 && result == NULL && tokenizer == NULL && out == NULL);
    OK(ernie_tokenizer_open(demo, NULL, &tokenizer));
    FAILS(ernie_tokenizer_encode(tokenizer, NULL, 1, NULL, &result), code, "inputs is NULL");
    FAILS(ernie_tokenizer_encode(tokenizer, &input, 1, NULL, NULL), code, "result is NULL");
    FAILS(ernie_tokenizer_decode(tokenizer, NULL, 1, 0, &result), code, "ids is NULL");
    FAILS(ernie_tokenizer_decode(tokenizer, &id, 1, 9, &result), code, "9");
    id = 1 << 30;
    FAILS(ernie_tokenizer_decode(tokenizer, &id, 1, 0, &result), code, "1073741824");
    ernie_tokenizer_free(tokenizer);
    FAILS(ernie_result_items(NULL, 0, &items, &n), code, "result is NULL");
    FAILS(ernie_result_matrix(NULL, &matrix), code, "result is NULL");
    FAILS(ernie_result_token_matrix(NULL, 0, &matrix), code, "result is NULL");
    FAILS(ernie_result_tokens(NULL, 0, &tokens), code, "result is NULL");
    FAILS(ernie_result_tensor(NULL, 0, 0, &tensor), code, "result is NULL");
    FAILS(ernie_result_text(NULL, 0, &text), code, "result is NULL");
    CHECK(ernie_result_count(NULL) == 0 && ernie_result_tensor_count(NULL, 0) == 0);
    OK(ernie_infer(model, &input, 1, NULL, &result));
    FAILS(ernie_result_items(result, 1, &items, &n), code, "index is 1");
    FAILS(ernie_result_items(result, 0, NULL, &n), code, "items is NULL");
    FAILS(ernie_result_items(result, 0, &items, NULL), code, "n_items is NULL");
    FAILS(ernie_result_matrix(result, NULL), code, "matrix is NULL");
    FAILS(ernie_result_token_matrix(result, 0, &matrix), code, "no token vectors");
    FAILS(ernie_result_tokens(result, 0, NULL), code, "tokens is NULL");
    tokens.struct_size = 3;
    FAILS(ernie_result_tokens(result, 0, &tokens), code, "struct_size");
    FAILS(ernie_result_tensor(result, 0, 0, &tensor), code, "no tensors");
    FAILS(ernie_result_text(result, 0, &text), code, "no text");
    ernie_result_free(result);
    ernie_options_free(o);
    ernie_status_free(NULL);
    ernie_options_free(NULL);
    ernie_model_free(NULL);
    ernie_tokenizer_free(NULL);
    ernie_result_free(NULL);
    still_works();
}

/* ---- tensors ---- */

static void tensors(void) {
    const int32_t code = ERNIE_ERROR_INVALID_ARGUMENT;
    float values[4] = {0};
    int64_t shape[2] = {2, 2}, negative[1] = {-1}, huge[2] = {INT64_MAX, INT64_MAX}, two[1] = {2};
    ernie_tensor good = {"x", ERNIE_TYPE_FLOAT32, 1, two, values, 8}, bad[2];
    ernie_options *o = ernie_options_new();
    ernie_model *any = NULL;
    ernie_result *result = NULL;
    OK(ernie_options_set(o, "task", "tensors"));
    OK(ernie_model_open(at(fixtures, "identity"), o, &any));
    ernie_options_free(o);
    bad[0] = good, bad[0].name = "z";
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "no input \"z\"");
    bad[0] = good, bad[0].name = NULL;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "tensor 0: name is NULL");
    bad[0] = good, bad[0].element_type = 99;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "99");
    bad[0] = good, bad[0].element_type = ERNIE_TYPE_INT32;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "int32");
    bad[0] = good, bad[0].element_type = ERNIE_TYPE_BOOL, bad[0].n_bytes = 2, values[0] = 7.0f;
    bad[0].data = (const char *)values + 2;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "neither 0 nor 1");
    bad[0] = good, bad[0].n_bytes = 7;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "takes 8 bytes");
    bad[0] = good, bad[0].shape = negative;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "negative");
    bad[0] = good, bad[0].shape = huge, bad[0].n_dims = 2;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "too many bytes");
    bad[0] = good, bad[0].shape = shape, bad[0].n_dims = 2, bad[0].n_bytes = 16;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "x float[?]");
    bad[0] = good, bad[0].data = NULL;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "data is NULL");
    bad[0] = good, bad[0].data = (const char *)values + 1;
    FAILS(ernie_infer_tensors(any, bad, 1, &result), code, "aligned");
    bad[0] = bad[1] = good;
    FAILS(ernie_infer_tensors(any, bad, 2, &result), code, "twice");
    CHECK(result == NULL);
    OK(ernie_infer_tensors(any, &good, 1, &result));
    ernie_result_free(result);
    result = NULL;
    good.n_bytes = 0, two[0] = 0;
    OK(ernie_infer_tensors(any, &good, 1, &result));
    ernie_result_free(result);
    result = NULL;
    FAILS(ernie_infer(any, NULL, 0, NULL, &result), ERNIE_ERROR_UNSUPPORTED, "tensors");
    ernie_model_free(any);
}

/* ---- threads, panics, the rest ---- */

static const char *const words[] = {"好", "房间很干净", "质量太差", ""};
static float logits_alone[4][2];

static int has_logits(const ernie_result *result, const float *expected) {
    ernie_matrix matrix;
    ernie_status *status = ernie_result_matrix(result, &matrix);
    int same = status == NULL && close_to(matrix.data[0], expected[0]) && close_to(matrix.data[1], expected[1]);
    ernie_status_free(status);
    return same;
}

static void *many_calls(void *unused) {
    (void)unused;
    for (int i = 0; i < 8; ++i) {
        ernie_input inputs[2];
        ernie_result *result = NULL;
        inputs[0] = text_input(words[i % 4]);
        inputs[1] = text_input("\xFF");
        ernie_status *status = ernie_encode(model, inputs, 2, NULL, &result);
        if (ernie_status_code(status) != ERNIE_ERROR_INVALID_UTF8 || result != NULL) {
            return (void *)1;
        }
        ernie_status_free(status);
        status = ernie_infer(model, inputs, 1, NULL, &result);
        if (status != NULL || !has_logits(result, logits_alone[i % 4])) {
            return (void *)1;
        }
        ernie_result_free(result);
    }
    return NULL;
}

static void threads(void) {
    pthread_t ids[16];
    for (int i = 0; i < 4; ++i) {
        ernie_input input = text_input(words[i]);
        ernie_result *result = NULL;
        ernie_matrix matrix;
        OK(ernie_infer(model, &input, 1, NULL, &result));
        OK(ernie_result_matrix(result, &matrix));
        memcpy(logits_alone[i], matrix.data, sizeof logits_alone[i]);
        ernie_result_free(result);
    }
    for (int i = 0; i < 16; ++i) {
        CHECK(pthread_create(&ids[i], NULL, many_calls, NULL) == 0);
    }
    for (int i = 0; i < 16; ++i) {
        void *failed = NULL;
        pthread_join(ids[i], &failed);
        CHECK(failed == NULL);
    }
    still_works();
}

static void panics(void) {
    ernie_options *o = ernie_options_new();
    ernie_status *status = ernie_options_set(o, "test_panic", "on purpose");
    /* Only libraries built for tests have the hook. */
#ifdef ERNIE_TEST_HOOKS
    expect_at(__FILE__, __LINE__, status, ERNIE_ERROR_INTERNAL, "on purpose");
#else
    expect_at(__FILE__, __LINE__, status, ERNIE_ERROR_INVALID_ARGUMENT, "unknown option");
#endif
    OK(ernie_options_set(o, "threads", "1"));
    ernie_options_free(o);
    still_works();
}

/* What the library writes goes into a file, which must stay empty. */
static int silence(void) {
    int own_err = dup(2), file = open(at(work, "printed"), O_CREAT | O_RDWR | O_TRUNC, 0666);
    dup2(file, 1);
    dup2(file, 2);
    close(file);
    return own_err;
}

int main(int argc, char **argv) {
    struct stat printed;
    char command[64];
    if (argc != 4 || mkdtemp(work) == NULL) {
        return 2;
    }
    demo = argv[1], fixtures = argv[2], fake_runtime = argv[3];
    report = fdopen(silence(), "w");
    runtimes();
    OK(ernie_model_open(demo, NULL, &model));
    if (model != NULL) {
        still_works();
        directories();
        texts();
        calls();
        options();
        nulls();
        tensors();
        threads();
        panics();
    }
    ernie_model_free(model);
    CHECK(stat(at(work, "printed"), &printed) == 0 && printed.st_size == 0);
    fprintf(report, "bad_input: %d checks failed\n", n_failed);
    fflush(report);
    dup2(fileno(report), 2); /* for what a sanitizer finds at the end */
    fclose(report);
    snprintf(command, sizeof command, "rm -rf %s", work);
    return system(command) != 0 || n_failed != 0;
}
