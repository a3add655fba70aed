/* What the C programs of this folder share: checks that name their place, and calls with less to write. */
#ifndef CHECK_H
#define CHECK_H

#include <ernie.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int n_failed = 0;
static FILE *report = NULL; /* NULL: standard error */

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            ++n_failed;                                                                                                \
            fprintf(report ? report : stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                  \
        }                                                                                                              \
    } while (0)

/* The call must succeed. */
#define OK(call) expect_at(__FILE__, __LINE__, (call), ERNIE_OK, "")
/* The call must fail with this code, and say this. */
#define FAILS(call, code, says) expect_at(__FILE__, __LINE__, (call), (code), (says))

static void expect_at(const char *file, int line, ernie_status *status, int32_t code, const char *says) {
    const char *message = ernie_status_message(status);
    if (ernie_status_code(status) != code || strstr(message, says) == NULL) {
        ++n_failed;
        fprintf(report ? report : stderr, "%s:%d: expected %s saying \"%s\", got %s: %s\n", file, line,
                ernie_status_code_name(code), says, ernie_status_code_name(ernie_status_code(status)), message);
    }
    ernie_status_free(status);
}

static inline ernie_str str(const char *text) {
    ernie_str view;
    view.data = text;
    view.len = text == NULL ? 0 : strlen(text);
    return view;
}

static inline ernie_input text_input(const char *text) {
    ernie_input input;
    input.text = str(text);
    input.pair = str(NULL);
    return input;
}

static inline ernie_input pair_input(const char *text, const char *pair) {
    ernie_input input;
    input.text = str(text);
    input.pair = str(pair);
    return input;
}

static inline int close_to(float a, float b) { return a - b < 1e-5f && b - a < 1e-5f; }

#endif
