/* A C99 program that makes calls which return at once: every end comes once, with what the call gives, also when the
 * model is freed, the call cancelled or refused. Argument: the demo model. */
#include <pthread.h>

#include "check.h"

enum { N_CALLS = 64 };

/* What calls have ended with. */
struct ends {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const ernie_model *model; /* NULL: calls are not repeated */
    int n_ended;
    int n_repeats;
    int n_of_code[ERNIE_ERROR_BUSY + 1];
    float wanted[2];
    int n_wrong;
};

static void start_ends(struct ends *ends) {
    memset(ends, 0, sizeof *ends);
    CHECK(pthread_mutex_init(&ends->lock, NULL) == 0 && pthread_cond_init(&ends->changed, NULL) == 0);
}

static void wait_for_ends(struct ends *ends, int n_wanted) {
    pthread_mutex_lock(&ends->lock);
    while (ends->n_ended < n_wanted) {
        pthread_cond_wait(&ends->changed, &ends->lock);
    }
    CHECK(ends->n_ended == n_wanted);
    pthread_mutex_unlock(&ends->lock);
}

static void free_ends(struct ends *ends) {
    pthread_cond_destroy(&ends->changed);
    pthread_mutex_destroy(&ends->lock);
}

static void ended(void *user, ernie_status *status, ernie_result *result) {
    struct ends *ends = user;
    int32_t code = ernie_status_code(status);
    ernie_input input = text_input("房间很干净");
    int repeats = 0, is_wrong = 0;
    if (result != NULL) {
        ernie_matrix matrix = {NULL, 0, 0};
        ernie_status *failed = ernie_result_matrix(result, &matrix);
        is_wrong = failed != NULL || status != NULL || matrix.n_rows != 1 || matrix.n_columns != 2 ||
                   memcmp(matrix.data, ends->wanted, sizeof ends->wanted) != 0;
        ernie_status_free(failed);
    } else {
        is_wrong = code == ERNIE_OK || ernie_status_message(status)[0] == '\0';
    }
    pthread_mutex_lock(&ends->lock);
    if (ends->n_repeats > 0) {
        --ends->n_repeats;
        repeats = 1;
    }
    pthread_mutex_unlock(&ends->lock);
    /* A function that is told an end may make the next call. */
    if (repeats) {
        OK(ernie_infer_async(ends->model, &input, 1, NULL, ended, ends));
    }
    ernie_status_free(status);
    ernie_result_free(result);
    pthread_mutex_lock(&ends->lock);
    ++ends->n_ended;
    ++ends->n_of_code[code];
    ends->n_wrong += is_wrong;
    pthread_cond_signal(&ends->changed);
    pthread_mutex_unlock(&ends->lock);
}

static ernie_model *open_with(const char *dir, const char *key, const char *value) {
    ernie_options *options = ernie_options_new();
    ernie_model *model = NULL;
    OK(ernie_options_set(options, "max_wait_us", "2000000"));
    OK(ernie_options_set(options, key, value));
    OK(ernie_model_open(dir, options, &model));
    ernie_options_free(options);
    return model;
}

static void logits_of(const ernie_model *model, float *logits) {
    ernie_input input = text_input("房间很干净");
    ernie_result *result = NULL;
    ernie_matrix matrix = {NULL, 0, 0};
    OK(ernie_infer(model, &input, 1, NULL, &result));
    OK(ernie_result_matrix(result, &matrix));
    CHECK(matrix.n_columns == 2);
    memcpy(logits, matrix.data, 2 * sizeof *logits);
    ernie_result_free(result);
}

static void many_calls_and_a_model_that_is_freed(const char *dir) {
    struct ends ends;
    ernie_model *model = NULL;
    ernie_model_statistics statistics = ERNIE_MODEL_STATISTICS_INIT;
    OK(ernie_model_open(dir, NULL, &model));
    start_ends(&ends);
    logits_of(model, ends.wanted);
    ends.model = model;
    ends.n_repeats = N_CALLS;
    for (int i = 0; i < N_CALLS; ++i) {
        char *text = malloc(64);
        ernie_input input;
        strcpy(text, "房间很干净");
        input = text_input(text);
        OK(ernie_infer_async(model, &input, 1, NULL, ended, &ends));
        memset(text, 'x', 63);
        free(text);
    }
    wait_for_ends(&ends, 2 * N_CALLS);
    OK(ernie_model_stats(model, &statistics));
    CHECK(statistics.n_texts == 2 * N_CALLS + 1 && statistics.n_queued == 0 && statistics.peak_queued > 0);
    CHECK(ends.n_of_code[ERNIE_OK] == 2 * N_CALLS && ends.n_wrong == 0 && ends.n_repeats == 0);
    for (int i = 0; i < N_CALLS; ++i) {
        ernie_input input = text_input("房间很干净");
        OK(ernie_infer_async(model, &input, 1, NULL, ended, &ends));
    }
    ernie_model_free(model);
    wait_for_ends(&ends, 3 * N_CALLS);
    CHECK(ends.n_of_code[ERNIE_OK] == 3 * N_CALLS && ends.n_wrong == 0);
    free_ends(&ends);
}

static void calls_that_are_cancelled_or_refused(const char *dir) {
    struct ends ends;
    ernie_model *model = open_with(dir, "max_queue", "2");
    ernie_cancel *cancel = ernie_cancel_new();
    ernie_call call = ERNIE_CALL_INIT;
    ernie_input input = text_input("房间很干净"), broken;
    broken.text.data = "\xff";
    broken.text.len = 1;
    broken.pair = str(NULL);
    start_ends(&ends);
    call.cancel = cancel;
    OK(ernie_infer_async(model, &input, 1, &call, ended, &ends));
    OK(ernie_infer_async(model, &input, 1, &call, ended, &ends));
    FAILS(ernie_infer_async(model, &input, 1, &call, ended, &ends), ERNIE_ERROR_BUSY, "max_queue allows 2");
    FAILS(ernie_infer_async(model, &broken, 1, NULL, ended, &ends), ERNIE_ERROR_INVALID_UTF8, "input 0");
    FAILS(ernie_infer_async(model, &input, 1, NULL, NULL, &ends), ERNIE_ERROR_INVALID_ARGUMENT, "done is NULL");
    FAILS(ernie_infer_async(NULL, &input, 1, NULL, ended, &ends), ERNIE_ERROR_INVALID_ARGUMENT, "model is NULL");
    FAILS(ernie_encode_async(model, NULL, 1, NULL, ended, &ends), ERNIE_ERROR_INVALID_ARGUMENT, "inputs is NULL");
    ernie_cancel_signal(cancel);
    ernie_cancel_free(cancel);
    ernie_model_free(model);
    wait_for_ends(&ends, 2);
    CHECK(ends.n_of_code[ERNIE_ERROR_CANCELLED] == 2 && ends.n_wrong == 0);
    free_ends(&ends);
    CHECK(strcmp(ernie_status_code_name(ERNIE_ERROR_BUSY), "BUSY") == 0);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    many_calls_and_a_model_that_is_freed(argv[1]);
    calls_that_are_cancelled_or_refused(argv[1]);
    printf("asynchronous: %d checks failed\n", n_failed);
    return n_failed != 0;
}
