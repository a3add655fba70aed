/* Uses the library as a quiet program does: messages come when they are asked for, no thread appears. Writes
 * nothing unless a check fails. Argument: the demo model. */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>

static int n_messages = 0, n_runtime_messages = 0;

static void count(void *user, int32_t level, const char *target, const char *message) {
    CHECK(user == &n_messages && level >= ERNIE_LOG_ERROR && level <= ERNIE_LOG_TRACE && message[0] != '\0');
    ++n_messages;
    n_runtime_messages += strcmp(target, "onnxruntime") == 0;
}

static int count_threads(void) {
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;
    if (tasks == NULL) {
        return -1;
    }
    for (const struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        n += task->d_name[0] != '.';
    }
    closedir(tasks);
    return n;
}

/* Runs a model on the calling thread alone: any other thread would be telemetry, or one that nobody asked for. */
static void use(const char *dir) {
    ernie_input input = text_input("房间很干净");
    ernie_options *options = ernie_options_new();
    ernie_model *model = NULL;
    ernie_result *result = NULL;
    OK(ernie_options_set(options, "threads", "1"));
    OK(ernie_model_open(dir, options, &model));
    ernie_options_free(options);
    OK(ernie_infer(model, &input, 1, NULL, &result));
    ernie_result_free(result);
    CHECK(count_threads() == 1);
    ernie_model_free(model);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    use(argv[1]);
    OK(ernie_set_log_callback(count, &n_messages, ERNIE_LOG_TRACE));
    use(argv[1]);
    CHECK(n_messages > 0 && n_runtime_messages > 0);
    OK(ernie_set_log_callback(NULL, NULL, ERNIE_LOG_OFF));
    n_messages = 0;
    use(argv[1]);
    CHECK(n_messages == 0);
    return n_failed != 0;
}
