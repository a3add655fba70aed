/* What the programs that write texts share: their sources, ways of writing, and what a text is compared by. */
#ifndef GENERATED_H
#define GENERATED_H

#include <stdint.h>

#include "check.h"

static const char *fixtures;

/* Without [UNK]: what is written may be told apart. */
static const char *const sources[] = {"今天天气很好", "我们去北京", "", "a b 是的！"};
enum { N_SOURCES = sizeof sources / sizeof *sources };

static inline ernie_model *open_model(const char *name) {
    char path[1024];
    ernie_model *model = NULL;
    snprintf(path, sizeof path, "%s/checkpoints/%s", fixtures, name);
    OK(ernie_model_open(path, NULL, &model));
    return model;
}

static inline void all_sources(ernie_input *inputs) {
    for (size_t i = 0; i < N_SOURCES; ++i) {
        inputs[i] = text_input(sources[i]);
    }
}

static inline ernie_generation decoding(uint32_t value) {
    ernie_generation generation = ERNIE_GENERATION_INIT;
    generation.decoding = value;
    return generation;
}

static inline ernie_generation sampling(uint64_t seed, uint32_t n_sequences) {
    ernie_generation generation = decoding(ERNIE_DECODING_SAMPLE);
    generation.seed = seed;
    generation.n_sequences = n_sequences;
    return generation;
}

static inline const ernie_generated *written(const ernie_result *result, size_t index, size_t n_wanted) {
    const ernie_generated *generated = NULL;
    size_t n_generated = 0;
    OK(ernie_result_generated(result, index, &generated, &n_generated));
    CHECK(n_generated == n_wanted);
    return n_generated == n_wanted ? generated : NULL;
}

static inline ernie_result *generate(const ernie_model *model, const char *source, const ernie_generation *generation) {
    ernie_input input = text_input(source);
    ernie_result *result = NULL;
    OK(ernie_generate(model, &input, 1, NULL, generation, &result));
    return result;
}

static inline int is_utf8(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        size_t more = *at < 0x80 ? 0 : *at >= 0xC2 && *at < 0xE0 ? 1 : *at >= 0xE0 && *at < 0xF0 ? 2 : 3;
        if (more == 3 && (*at < 0xF0 || *at > 0xF4)) {
            return 0;
        }
        if ((size_t)(end - at) <= more) {
            return 0;
        }
        for (size_t i = 1; i <= more; ++i) {
            if ((at[i] & 0xC0) != 0x80) {
                return 0;
            }
        }
        at += 1 + more;
    }
    return 1;
}

/* The same text, by its bytes, its tokens and the bits of its scores. */
static inline int same(const ernie_generated *a, const ernie_generated *b) {
    return a->text.len == b->text.len && memcmp(a->text.data, b->text.data, a->text.len) == 0 &&
           a->n_tokens == b->n_tokens && memcmp(a->token_ids, b->token_ids, a->n_tokens * sizeof *a->token_ids) == 0 &&
           memcmp(&a->score, &b->score, sizeof a->score) == 0 && a->finish == b->finish &&
           memcmp(&a->log_probability, &b->log_probability, sizeof a->log_probability) == 0;
}

static inline int same_results(const ernie_result *a, size_t of_a, const ernie_result *b, size_t of_b,
                               size_t n_sequences) {
    const ernie_generated *x = written(a, of_a, n_sequences), *y = written(b, of_b, n_sequences);
    int is_same = x != NULL && y != NULL;
    for (size_t i = 0; is_same && i < n_sequences; ++i) {
        is_same = same(&x[i], &y[i]);
    }
    return is_same;
}

/* ---- streams ---- */

enum { MOST_SEQUENCES = 4, MOST_BYTES = 4096 };

struct stream {
    const ernie_model *model; /* asked in between, where there is one */
    const ernie_cancel *cancel;
    size_t n_pieces[N_SOURCES];
    size_t stop_input; /* whose first piece is the last */
    size_t length[N_SOURCES][MOST_SEQUENCES];
    char text[N_SOURCES][MOST_SEQUENCES][MOST_BYTES];
};

static inline struct stream *new_stream(void) {
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        exit(3);
    }
    stream->stop_input = SIZE_MAX;
    return stream;
}

static inline int32_t take(void *user, size_t input, size_t sequence, const char *text, size_t len) {
    struct stream *stream = user;
    ernie_generation short_one = decoding(ERNIE_DECODING_GREEDY);
    CHECK(input < N_SOURCES && sequence < MOST_SEQUENCES && len > 0 && is_utf8(text, len));
    if (stream->length[input][sequence] + len > MOST_BYTES) {
        CHECK(!"a text of a few kilobytes");
        return 0;
    }
    memcpy(stream->text[input][sequence] + stream->length[input][sequence], text, len);
    stream->length[input][sequence] += len;
    ++stream->n_pieces[input];
    ernie_cancel_signal(stream->cancel);
    if (stream->model != NULL) {
        short_one.max_new_tokens = 1;
        ernie_result_free(generate(stream->model, "我", &short_one));
    }
    return input != stream->stop_input;
}

#endif
