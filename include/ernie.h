/* ernie.h: the C interface of libernie, which runs Baidu ERNIE models.
 *
 * Made by cbindgen from src/capi; do not edit.
 *
 * Errors. Functions that can fail return an ernie_status: NULL is success, otherwise a code and a message that the
 * caller frees with ernie_status_free. Outputs come last and are written only on success. A failed call changes
 * nothing: its handles stay usable. The library never prints, exits, aborts or uses the network.
 *
 * Ownership. What a function gives through a pointer to a handle belongs to the caller, who frees it with the _free
 * of its type; every _free takes NULL. Strings and arrays inside a handle live as long as it. Arguments are only read,
 * and only during the call.
 *
 * Threads. A const handle may be used by any number of threads at the same time; a handle that is not const by one.
 * Calls that wait for a model at the same time share its runs, and get what they get alone, each in its turn. A handle is
 * freed after all calls on it have returned; asynchronous calls are owners of their own. After fork() the child may use none
 * of the parent's handles, not even to free them: the runtime's threads did not come along.
 *
 * Texts are UTF-8, given by pointer and length; NUL bytes are part of the text. n_inputs may be 0, texts may be empty.
 * Offsets count bytes of the caller's text. Paths are bytes as the operating system takes them.
 *
 * NULL is checked in every argument. Structs that begin with struct_size may grow at their end: set it to the sizeof
 * of the struct (the ..._INIT macros do).
 */


#ifndef ERNIE_H
#define ERNIE_H

#include <stddef.h>
#include <stdint.h>

#define ERNIE_VERSION_MAJOR 0
#define ERNIE_VERSION_MINOR 1
#define ERNIE_VERSION_PATCH 0
/* The version of this header; ernie_version() is that of the library. */
#define ERNIE_VERSION_NUMBER 100
#define ERNIE_VERSION_STRING "0.1.0"

/* Initialisers: the struct's size, and the defaults: 0 for everything but what ernie_generation tells. */
#define ERNIE_CALL_INIT \
    { sizeof(struct ernie_call), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, { NULL, 0 }, NULL }
#define ERNIE_MODEL_INFO_INIT { sizeof(struct ernie_model_info), 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0 }
#define ERNIE_MODEL_STATISTICS_INIT \
    { sizeof(struct ernie_model_statistics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define ERNIE_GENERATION_INIT \
    { sizeof(struct ernie_generation), 0, 5, 1, 1.0f, 1.0f, 1.0f, 1.0f, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL, 0, NULL, 0, NULL, NULL }
#define ERNIE_TOKENIZER_INFO_INIT { sizeof(struct ernie_tokenizer_info), 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define ERNIE_TOKENS_INIT \
    { sizeof(struct ernie_tokens), 0, 0, NULL, NULL, NULL, NULL, NULL, 0, 0, { 0, 0 }, { 0, 0 }, 0, 0, 0 }

/*
 Success: the status pointer is NULL.
 */
#define ERNIE_OK 0

/*
 A NULL pointer, unknown option, value out of range, or tensor that does not fit the graph.
 */
#define ERNIE_ERROR_INVALID_ARGUMENT 1

/*
 A text is not UTF-8; the message names its index and the byte.
 */
#define ERNIE_ERROR_INVALID_UTF8 2

/*
 A file or directory is not there.
 */
#define ERNIE_ERROR_NOT_FOUND 3

/*
 The operating system refused to read a file.
 */
#define ERNIE_ERROR_IO 4

/*
 A file of the model is broken or contradicts another.
 */
#define ERNIE_ERROR_INVALID_MODEL 5

/*
 The model or the request cannot be run faithfully; the message says why.
 */
#define ERNIE_ERROR_UNSUPPORTED 6

/*
 A text has too many tokens and must not be cut.
 */
#define ERNIE_ERROR_TEXT_TOO_LONG 7

/*
 The caller's buffer is too small; nothing was written.
 */
#define ERNIE_ERROR_BUFFER_TOO_SMALL 8

/*
 No usable ONNX Runtime was found; the message names what was tried.
 */
#define ERNIE_ERROR_RUNTIME_MISSING 9

/*
 The execution provider asked for cannot be used here.
 */
#define ERNIE_ERROR_PROVIDER_UNAVAILABLE 10

/*
 ONNX Runtime failed while running a graph.
 */
#define ERNIE_ERROR_RUNTIME 11

/*
 Memory could not be had.
 */
#define ERNIE_ERROR_OUT_OF_MEMORY 12

/*
 The call was cancelled by `ernie_cancel_signal`.
 */
#define ERNIE_ERROR_CANCELLED 13

/*
 A bug in this library, caught before it reached the caller.
 */
#define ERNIE_ERROR_INTERNAL 14

/*
 As many calls wait for the model as option `max_queue` allows; the same call may succeed later.
 */
#define ERNIE_ERROR_BUSY 15

/*
 No messages.
 */
#define ERNIE_LOG_OFF 0

/*
 Errors, also those that calls report by status.
 */
#define ERNIE_LOG_ERROR 1

/*
 What deserves a look.
 */
#define ERNIE_LOG_WARN 2

/*
 What was loaded and from where.
 */
#define ERNIE_LOG_INFO 3

/*
 Details, ONNX Runtime's information included.
 */
#define ERNIE_LOG_DEBUG 4

/*
 Everything.
 */
#define ERNIE_LOG_TRACE 5

/*
 The model's own pooler where it has one, else the first token.
 */
#define ERNIE_POOLING_DEFAULT 0

/*
 The model's own pooler, a layer with tanh over the first token.
 */
#define ERNIE_POOLING_POOLER 1

/*
 The vector of the first token, `[CLS]`.
 */
#define ERNIE_POOLING_CLS 2

/*
 The mean over all tokens, `[CLS]` and `[SEP]` included.
 */
#define ERNIE_POOLING_MEAN 3

/*
 The largest value of each dimension over all tokens.
 */
#define ERNIE_POOLING_MAX 4

/*
 Vectors as the model gives them.
 */
#define ERNIE_NORMALIZE_NONE 0

/*
 Vectors divided by their Euclidean length.
 */
#define ERNIE_NORMALIZE_L2 1

/*
 As the model's options say; where they say nothing, windows for reading comprehension and extraction (but for calls that
 want raw outputs), else `ERNIE_TRUNCATION_TRUNCATE`.
 */
#define ERNIE_TRUNCATION_DEFAULT 0

/*
 Longer texts are cut by the tokenizer's own rule: that of `ERNIE_TRUNCATION_LONGEST_FIRST`, but for `ernie` and
 `ernie-tiny`, which cut both texts of a pair to halves.
 */
#define ERNIE_TRUNCATION_TRUNCATE 1

/*
 Longer texts are an error: `ERNIE_ERROR_TEXT_TOO_LONG`.
 */
#define ERNIE_TRUNCATION_ERROR 2

/*
 The longer of text and pair is cut until both fit; of equals the pair, or the text with `bert-fast` and `tokenizer.json`.
 */
#define ERNIE_TRUNCATION_LONGEST_FIRST 3

/*
 The text is cut, never the pair.
 */
#define ERNIE_TRUNCATION_ONLY_FIRST 4

/*
 The pair is cut, never the text.
 */
#define ERNIE_TRUNCATION_ONLY_SECOND 5

/*
 Nothing is cut: the pair, or a text without pair, goes through in windows (`ernie_call.doc_stride`), each with all of the
 other, and what they give is put together: `ernie_infer` says how. Generation refuses it.
 */
#define ERNIE_TRUNCATION_WINDOWS 6

/*
 As the model's options say.
 */
#define ERNIE_SPECIAL_TOKENS_DEFAULT 0

/*
 `[CLS]`, `[MASK]` and the like in a text are those tokens, as the references have it; that of `ernie-tiny` knows none.
 */
#define ERNIE_SPECIAL_TOKENS_RECOGNIZE 1

/*
 They are text like any other: for texts of unknown origin.
 */
#define ERNIE_SPECIAL_TOKENS_PLAIN 2

/*
 What the model says; else softmax for several labels, the raw value for one.
 */
#define ERNIE_PROBLEM_DEFAULT 0

/*
 One label of several: softmax.
 */
#define ERNIE_PROBLEM_SINGLE_LABEL 1

/*
 Any number of labels: a sigmoid each.
 */
#define ERNIE_PROBLEM_MULTI_LABEL 2

/*
 A number: the raw value.
 */
#define ERNIE_PROBLEM_REGRESSION 3

/*
 One input that cannot be answered fails the call.
 */
#define ERNIE_ERRORS_CALL 0

/*
 It has no findings, a row of NaN and no tokens; `ernie_result_error` says why, and the others are answered.
 */
#define ERNIE_ERRORS_INPUT 1

/*
 Words stand between bytes 0x02 where the text has such a byte, else they are those of the tokenizer.
 */
#define ERNIE_WORDS_AUTO 0

/*
 Words stand between bytes 0x02, as in the data of paddle-ernie; each is tokenized alone.
 */
#define ERNIE_WORDS_SEPARATED 1

/*
 Words are those of the tokenizer: pieces of a word belong together.
 */
#define ERNIE_WORDS_FOUND 2

/*
 Token classification gives entities, by the labels' names; of a model whose labels have no names, words.
 */
#define ERNIE_TAGS_ENTITIES 0

/*
 It gives an item for each word, also for words without a prediction (`id` -1).
 */
#define ERNIE_TAGS_WORDS 1

/*
 An answer is what the reference prints. The script of paddle-ernie cannot find some tokens again in the passage
 (unknown words, accents) and prints everything between two ideographs; else as `ERNIE_ANSWER_TOKENS`.
 */
#define ERNIE_ANSWER_REFERENCE 0

/*
 An answer is what its tokens cover.
 */
#define ERNIE_ANSWER_TOKENS 1

/*
 No answer is none of the answers. There may still be none that fits (`max_answer_tokens`, `n_best`).
 */
#define ERNIE_NO_ANSWER_NEVER 0

/*
 No answer (`id` -1, no text) is one of the answers, with its score, as in SQuAD 2.0.
 */
#define ERNIE_NO_ANSWER_ALLOWED 1

/*
 Prompts of what belongs to a finding X are `X的Y`.
 */
#define ERNIE_SCHEMA_CHINESE 0

/*
 They are `Y of X`.
 */
#define ERNIE_SCHEMA_ENGLISH 1

/*
 Bit of `ernie_call.outputs`: the vectors of all tokens, or the logits of all words of token classification, for
 `ernie_result_token_matrix`.
 */
#define ERNIE_OUTPUT_TOKENS 1

/*
 Bit of `ernie_call.outputs`: the graph's own outputs for each text, for `ernie_result_tensor`. Generation gives them
 instead of texts.
 */
#define ERNIE_OUTPUT_RAW 2

/*
 Element type `float`. The numbers are those of ONNX.
 */
#define ERNIE_TYPE_FLOAT32 1

/*
 Element type `uint8_t`.
 */
#define ERNIE_TYPE_UINT8 2

/*
 Element type `int8_t`.
 */
#define ERNIE_TYPE_INT8 3

/*
 Element type `uint16_t`.
 */
#define ERNIE_TYPE_UINT16 4

/*
 Element type `int16_t`.
 */
#define ERNIE_TYPE_INT16 5

/*
 Element type `int32_t`.
 */
#define ERNIE_TYPE_INT32 6

/*
 Element type `int64_t`.
 */
#define ERNIE_TYPE_INT64 7

/*
 Element type `ernie_str`, without NUL bytes: ONNX Runtime takes none.
 */
#define ERNIE_TYPE_STRING 8

/*
 Element type one byte, 0 or 1.
 */
#define ERNIE_TYPE_BOOL 9

/*
 Element type IEEE half precision in two bytes.
 */
#define ERNIE_TYPE_FLOAT16 10

/*
 Element type `double`.
 */
#define ERNIE_TYPE_FLOAT64 11

/*
 Element type `uint32_t`.
 */
#define ERNIE_TYPE_UINT32 12

/*
 Element type `uint64_t`.
 */
#define ERNIE_TYPE_UINT64 13

/*
 Element type bfloat16 in two bytes.
 */
#define ERNIE_TYPE_BFLOAT16 16

/*
 A token of the text.
 */
#define ERNIE_SEQUENCE_TEXT 0

/*
 A token of the pair.
 */
#define ERNIE_SEQUENCE_PAIR 1

/*
 An added token: of neither.
 */
#define ERNIE_SEQUENCE_NONE 255

/*
 Bytes of UTF-8, as all offsets of this library.
 */
#define ERNIE_UNIT_BYTES 0

/*
 Unicode code points, as in Python.
 */
#define ERNIE_UNIT_CODE_POINTS 1

/*
 UTF-16 code units, as in JavaScript, Java and Windows.
 */
#define ERNIE_UNIT_UTF16 2

/*
 Decoding leaves special tokens out; `[UNK]` is one.
 */
#define ERNIE_DECODE_SKIP_SPECIAL_TOKENS 0

/*
 Decoding writes special tokens by name.
 */
#define ERNIE_DECODE_KEEP_SPECIAL_TOKENS 1

/*
 For what a generator wrote, as the reference script of ERNIE-GEN does it: decoding ends at the first `[SEP]`; `[PAD]` and
 `[UNK]` are written as a blank, other special tokens by name; WordPiece tokens of any scheme are joined by the rule of
 scheme `ernie`.
 */
#define ERNIE_DECODE_GENERATED 2

/*
 The cosine of the angle between two vectors; 0 where one of them is zero.
 */
#define ERNIE_SIMILARITY_COSINE 0

/*
 The dot product.
 */
#define ERNIE_SIMILARITY_DOT 1

/*
 The model ended the text.
 */
#define ERNIE_FINISH_END 0

/*
 It has as many tokens as it may have.
 */
#define ERNIE_FINISH_LENGTH 1

/*
 One of the stop strings follows.
 */
#define ERNIE_FINISH_STOP_STRING 2

/*
 The function that takes texts returned 0.
 */
#define ERNIE_FINISH_STOPPED 3

/*
 Nothing may follow: all tokens are forbidden.
 */
#define ERNIE_FINISH_EXHAUSTED 4

/*
 The best of several hypotheses, as the reference's script finds it.
 */
#define ERNIE_DECODING_BEAM 0

/*
 The likeliest token, each time.
 */
#define ERNIE_DECODING_GREEDY 1

/*
 By chance, as likely as the model says.
 */
#define ERNIE_DECODING_SAMPLE 2

/*
 Every text sees its own source: its words are the same alone and in any batch.
 */
#define ERNIE_SOURCE_PADDING_NONE 0

/*
 Sources are filled up to the longest of the call (of those that can be sources) and words see the padding, as in batches of the reference: a text's words depend on
 the other texts.
 */
#define ERNIE_SOURCE_PADDING_REFERENCE 1

/*
 Ends the calls that it was given to (`ernie_call.cancel`): they return `ERNIE_ERROR_CANCELLED`. Once signalled it stays so.
 */
typedef struct ernie_cancel ernie_cancel;

/*
 A model, ready to run. `const` functions may be called from any number of threads at the same time.
 */
typedef struct ernie_model ernie_model;

/*
 How a model or tokenizer is opened. Changed by one thread at a time; any number may read it.
 */
typedef struct ernie_options ernie_options;

/*
 What a call gave. Immutable: any number of threads may read it. What its functions point to lives as long as it.
 */
typedef struct ernie_result ernie_result;

/*
 What a failed call returns: a code and a message. NULL is success. The caller frees it.
 */
typedef struct ernie_status ernie_status;

/*
 A tokenizer. `const` functions may be called from any number of threads at the same time.
 */
typedef struct ernie_tokenizer ernie_tokenizer;

/*
 Receives log messages. `level` is one of `ERNIE_LOG_...`; `target` says which part speaks (`onnxruntime`,
 `ernie::...`); both strings are NUL-terminated UTF-8 and live only during the call. Called from any thread, also
 from several at once; it must not unwind or call this library.
 */
typedef void (*ernie_log_fn)(void *user, int32_t level, const char *target, const char *message);

/*
 A text: `len` bytes of UTF-8 at `data`, which need not be NUL-terminated and may contain NUL bytes. `data` may be
 NULL when `len` is 0.

 Where the library gives one, `data` is never NULL and `data[len]` is a NUL byte.
 */
typedef struct ernie_str {
    /*
     The first byte.
     */
    const char *data;
    /*
     The number of bytes.
     */
    size_t len;
} ernie_str;

/*
 One finding: a label, an entity, an answer, a word of a `[MASK]`, a candidate. `ernie_infer` and `ernie_rank` say which
 fields a task fills; the others are 0 or empty.
 */
typedef struct ernie_item {
    /*
     The label's id, or the token's, or the candidate's index, or the number of the schema's name; -1 for none.
     */
    int64_t id;
    /*
     Probability, or the raw value of a regression or of one choice alone; of an extracted finding the product of the
     probabilities of its first and last token; of a ranking what `ernie_rank` says.
     */
    float score;
    /*
     Which of several things that were asked it answers: the number of the `[MASK]`, from 0.
     */
    uint32_t group;
    /*
     What was found: the characters of the text, the token, the candidate of a `[MASK]`; of a classification the label's name;
     of a ranking empty.
     */
    struct ernie_str text;
    /*
     First byte in the caller's text.
     */
    size_t begin;
    /*
     One past the last byte in the caller's text; equal to `begin` where the item has no place.
     */
    size_t end;
    /*
     What kind of finding it is: a label's name, an entity's type, a name of the schema; empty where there is none.
     */
    struct ernie_str label;
    /*
     Index of the item of the same list that this one belongs to; -1 where it belongs to the text.
     */
    int64_t parent;
    /*
     Which text `begin` and `end` count in: `ERNIE_SEQUENCE_TEXT` or `ERNIE_SEQUENCE_PAIR`.
     */
    uint32_t sequence;
    /*
     Always 0.
     */
    uint32_t reserved;
    /*
     What the model says of the first token: a logit (reading comprehension), a probability (extraction); the log probability of a
     word of a `[MASK]`, of a candidate the sum over its tokens.
     */
    float begin_score;
    /*
     What the model says of the last token.
     */
    float end_score;
} ernie_item;

/*
 Rows of floats, one after another.
 */
typedef struct ernie_matrix {
    /*
     `n_rows * n_columns` values; not NULL.
     */
    const float *data;
    /*
     The number of rows.
     */
    size_t n_rows;
    /*
     The number of columns.
     */
    size_t n_columns;
} ernie_matrix;

/*
 A named tensor: row-major elements of one type.
 */
typedef struct ernie_tensor {
    /*
     The name in the graph, NUL-terminated.
     */
    const char *name;
    /*
     `ERNIE_TYPE_...`.
     */
    uint32_t element_type;
    /*
     The number of dimensions; 0 is a single value.
     */
    uint32_t n_dims;
    /*
     `n_dims` sizes.
     */
    const int64_t *shape;
    /*
     The elements, aligned as their type.
     */
    const void *data;
    /*
     Bytes at `data`: the number of elements times the size of one.
     */
    size_t n_bytes;
} ernie_tensor;

/*
 A half-open range of bytes in the caller's text.
 */
typedef struct ernie_span {
    /*
     The first byte.
     */
    size_t begin;
    /*
     One past the last byte.
     */
    size_t end;
} ernie_span;

/*
 The tokens of one text or pair. Set `struct_size` before asking. Arrays have `n_tokens` entries, live as long as
 the result and are not NULL.
 */
typedef struct ernie_tokens {
    /*
     `sizeof(ernie_tokens)` in the caller's header.
     */
    uint32_t struct_size;
    /*
     Always 0.
     */
    uint32_t reserved;
    /*
     The number of tokens, special tokens included.
     */
    size_t n_tokens;
    /*
     Token ids.
     */
    const int64_t *input_ids;
    /*
     0 for the text, 1 for the pair, as the model takes them; for ERNIE-M, which takes none, 1 from the first `[SEP]` on.
     `sequence` tells which text a token is of.
     */
    const int64_t *token_type_ids;
    /*
     1 for every token.
     */
    const int64_t *attention_mask;
    /*
     Where each token lies in its text (which one, `sequence` tells), in bytes; `0..0` for added tokens. Several tokens that
     one character became all cover it; a SentencePiece mark for a blank that the text has not covers nothing.
     */
    const struct ernie_span *offsets;
    /*
     Which text each token is from: `ERNIE_SEQUENCE_...`.
     */
    const uint8_t *sequence;
    /*
     Tokens of text and pair that were cut because they were too long; 0 = nothing was cut.
     */
    size_t n_truncated_tokens;
    /*
     How many of them are the pair's.
     */
    size_t n_truncated_pair_tokens;
    /*
     The bytes of the text that were cut; `0..0` = none.
     */
    struct ernie_span truncated_text;
    /*
     The bytes of the pair that were cut; `0..0` = none.
     */
    struct ernie_span truncated_pair;
    /*
     Which input of the call this is of.
     */
    size_t input;
    /*
     Which window of it, from 0.
     */
    size_t window;
    /*
     How many windows it has; 1 unless `ERNIE_TRUNCATION_WINDOWS` was asked for and the input is too long.
     */
    size_t n_windows;
} ernie_tokens;

/*
 What a tokenizer is. Set `struct_size` before asking. Ids are -1 where the vocabulary has no such token.
 */
typedef struct ernie_tokenizer_info {
    /*
     `sizeof(ernie_tokenizer_info)` in the caller's header.
     */
    uint32_t struct_size;
    /*
     Always 0.
     */
    uint32_t reserved;
    /*
     The scheme, as option `tokenizer` names it; lives as long as the library.
     */
    const char *scheme;
    /*
     The number of token ids: one more than the largest.
     */
    size_t vocab_size;
    /*
     Tokens of a text or pair at most, special tokens included; 0 = no limit: nothing beside the tokenizer tells one.
     */
    size_t max_tokens;
    /*
     Special tokens that are added to a text.
     */
    size_t n_added_tokens;
    /*
     Special tokens that are added to a text with its pair.
     */
    size_t n_added_tokens_of_pair;
    /*
     The id of `[CLS]`.
     */
    int64_t cls_id;
    /*
     The id of `[SEP]`.
     */
    int64_t sep_id;
    /*
     The id of `[PAD]`.
     */
    int64_t pad_id;
    /*
     The id of `[UNK]`.
     */
    int64_t unk_id;
    /*
     The id of `[MASK]`.
     */
    int64_t mask_id;
} ernie_tokenizer_info;

/*
 A text, or a text and its pair (question and passage, two sentences to compare). There is no pair when
 `pair.data` is NULL; an empty pair has a `data` that is not NULL.
 */
typedef struct ernie_input {
    /*
     The text.
     */
    struct ernie_str text;
    /*
     The pair, if any.
     */
    struct ernie_str pair;
} ernie_input;

/*
 What one call wants. Initialise with `ERNIE_CALL_INIT`: every field that stays 0 has the default of its kind. Fields that
 are another task's than the model's count for nothing.
 */
typedef struct ernie_call {
    /*
     `sizeof(ernie_call)` in the caller's header: tells the library which fields exist.
     */
    uint32_t struct_size;
    /*
     `ERNIE_POOLING_...`: how one vector is made of a text's token vectors.
     */
    uint32_t pooling;
    /*
     `ERNIE_NORMALIZE_...`: what is done to the length of vectors.
     */
    uint32_t normalize;
    /*
     `ERNIE_TRUNCATION_...`: what happens to texts that are too long.
     */
    uint32_t truncation;
    /*
     `ERNIE_SPECIAL_TOKENS_...`: what `[CLS]`-like strings in a text are.
     */
    uint32_t special_tokens;
    /*
     `ERNIE_PROBLEM_...`: what a classifier's raw scores mean.
     */
    uint32_t problem;
    /*
     Bits `ERNIE_OUTPUT_...`: what is wanted beside the main result (of generation, instead of it).
     */
    uint32_t outputs;
    /*
     Findings of an input at most: labels, answers, words of each `[MASK]` (0 = 5), candidates; 0 = all.
     */
    uint32_t top_k;
    /*
     Tokens of a text, or of a text and its pair together, at most, special tokens included; 0 = as the options say.
     */
    size_t max_tokens;
    /*
     With windows: by how many tokens a window begins after the one before (not by how many they overlap); 0 = as the
     options say. Windows never leave a gap. Each token goes through as many windows as it lies in: with 512 tokens and the
     128 of reading comprehension that is four times the work of windows that do not overlap.
     */
    size_t doc_stride;
    /*
     `truncate_to` of the 2021 tokenizer, oddities included: it counts content tokens only, and of a pair may keep more
     (7 and 31 tokens cut to 5 are 5 and 2) or nothing of the text (32 and 33 cut to 32 are 0 and 16). For schemes `ernie`
     and `ernie-tiny`, with no other truncation; 0 = as the options say. `max_tokens` holds besides.
     */
    size_t seed_truncate_to;
    /*
     `ERNIE_ERRORS_...`: whether one bad input fails the call.
     */
    uint32_t errors;
    /*
     From 0 to 1: labels and entities count above this probability, extracted findings where those of their first and of
     their last token are both above it; 0 = 0.5 for extraction, none for the others.
     */
    float threshold;
    /*
     Token classification, `ERNIE_WORDS_...`: how a text falls into words.
     */
    uint32_t words;
    /*
     Token classification, `ERNIE_TAGS_...`: what it gives.
     */
    uint32_t tags;
    /*
     Reading comprehension, `ERNIE_ANSWER_...`: which characters are an answer.
     */
    uint32_t answer_span;
    /*
     Reading comprehension, `ERNIE_NO_ANSWER_...`: whether a question may have none.
     */
    uint32_t no_answer;
    /*
     Cloze: 1 = only tokens that are words of their own, no pieces and no special tokens; 0 = all.
     */
    uint32_t whole_words;
    /*
     Extraction, `ERNIE_SCHEMA_...`: in which language prompts are put together.
     */
    uint32_t schema_language;
    /*
     Reading comprehension: starts and ends of each window that are paired, and answers at most; 0 = 20, 1000
     at most.
     */
    size_t n_best;
    /*
     Reading comprehension: tokens of an answer at most; 0 = 100.
     */
    size_t max_answer_tokens;
    /*
     Reading comprehension: tokens of a question at most, the rest is cut; 0 = 64, with raw outputs no limit.
     */
    size_t max_question_tokens;
    /*
     Cloze: the words that may stand for a `[MASK]`, of one token or several; NULL = all of the vocabulary.
     */
    const struct ernie_str *candidates;
    /*
     The number of candidates.
     */
    size_t n_candidates;
    /*
     Extraction: what is looked for, as JSON: a name, a list of names and objects, or an object of names with what belongs
     to them in one of these forms again (`["人物", {"竞赛名称": ["主办方", "时间"]}]`), 16 deep and 4096 names at most. Empty: the text is a prompt and its pair what is searched.
     */
    struct ernie_str schema;
    /*
     What ends the call from another thread; NULL = nothing. It lives as long as the call takes.
     */
    const struct ernie_cancel *cancel;
} ernie_call;

/*
 What a model is. Set `struct_size` before asking. Strings live as long as the model; 0 and NULL mean unknown or
 absent.
 */
typedef struct ernie_model_info {
    /*
     `sizeof(ernie_model_info)` in the caller's header.
     */
    uint32_t struct_size;
    /*
     The number of labels.
     */
    uint32_t n_labels;
    /*
     Who wrote the files: `huggingface`, `paddlenlp`, `paddle-ernie`, `paddle-inference` (without a
     config), `ernie-bundle`, `graph`.
     */
    const char *family;
    /*
     The task, as option `task` names it.
     */
    const char *task;
    /*
     Where the graph runs, which with option `fallback` may be another than was asked for: `cpu`, `cuda`, `tensorrt`, `openvino`.
     */
    const char *provider;
    /*
     The tokenizer scheme, as option `tokenizer` names it; NULL where there is no usable tokenizer.
     */
    const char *tokenizer;
    /*
     Width of the vectors that `ernie_encode` gives with its default pooling.
     */
    size_t hidden_size;
    /*
     Encoder layers.
     */
    size_t n_layers;
    /*
     Attention heads.
     */
    size_t n_heads;
    /*
     Rows of the word embedding.
     */
    size_t vocab_size;
    /*
     Tokens of a text or pair at most, special tokens included.
     */
    size_t max_tokens;
    /*
     Devices that share the work (option `device_id`); 1 on the processor.
     */
    size_t n_devices;
} ernie_model_info;

/*
 Counters since a model was opened. Set `struct_size` before asking.
 */
typedef struct ernie_model_statistics {
    /*
     `sizeof(ernie_model_statistics)` in the caller's header.
     */
    uint32_t struct_size;
    /*
     Always 0.
     */
    uint32_t reserved;
    /*
     Runs of the graph, also of the copy that guesses words ahead.
     */
    uint64_t n_runs;
    /*
     Texts that went through it.
     */
    uint64_t n_texts;
    /*
     Tokens of those texts, special tokens included.
     */
    uint64_t n_tokens;
    /*
     Tokens that were padding.
     */
    uint64_t n_padding_tokens;
    /*
     Time spent in the graph, in nanoseconds.
     */
    uint64_t run_time_ns;
    /*
     Tokens that `ernie_generate` wrote, of all hypotheses.
     */
    uint64_t n_new_tokens;
    /*
     Bytes of keys and values that texts of `ernie_generate` see now: 4 * layers * (key + value width) a token.
     */
    uint64_t cache_bytes;
    /*
     The most that there were.
     */
    uint64_t peak_cache_bytes;
    /*
     Texts that shared a run with those of other calls.
     */
    uint64_t n_joined_texts;
    /*
     Calls that wait for their turn now, and asynchronous ones that are under way.
     */
    uint64_t n_queued;
    /*
     The most that there were at a time.
     */
    uint64_t peak_queued;
    /*
     Tokens that were guessed ahead (option `draft_tokens`), without those that end a text.
     */
    uint64_t n_draft_tokens;
    /*
     Those of them that the model wrote too.
     */
    uint64_t n_accepted_tokens;
} ernie_model_statistics;

/*
 A text that was written.
 */
typedef struct ernie_generated {
    /*
     The text, as the reference's script writes tokens.
     */
    struct ernie_str text;
    /*
     Its tokens, without the one that ended it, with those of a stop string that are not part of the text.
     */
    const int64_t *token_ids;
    /*
     The number of tokens.
     */
    size_t n_tokens;
    /*
     Of beam search what hypotheses are compared by; else the logarithm of the text's probability.
     */
    float score;
    /*
     The logarithm of the text's probability, with that of its end and of forced tokens: what is left of the model's after
     forbidden tokens and penalties, before `temperature`, `top_k` and `top_p`.
     */
    float log_probability;
    /*
     `ERNIE_FINISH_...`: why it ends.
     */
    uint32_t finish;
    /*
     Always 0.
     */
    uint32_t reserved;
} ernie_generated;

/*
 Takes a piece of the text of sequence `sequence` of input `input`: `len` bytes of UTF-8 at `text`, whole characters, which follow the
 pieces before them, valid during the call; in which order the sequences of a call get theirs is not said. Returns 0 to end that sequence there (`ERNIE_FINISH_STOPPED`; with beam search all of its
 input, whose texts are the hypotheses as they stand), else to go on; to end the whole call, signal its `cancel`. Called by the thread that called `ernie_generate`; may call other functions, on the same model too; must not
 throw.
 */
typedef int32_t (*ernie_text_fn)(void *user, size_t input, size_t sequence, const char *text, size_t len);

/*
 How texts are written. Initialise with `ERNIE_GENERATION_INIT`, which holds the defaults told here.

 With another decoding, fields of sampling must have their defaults, and those of beam search count for nothing. All
 fields but `n_beams` must always be in their ranges.
 */
typedef struct ernie_generation {
    /*
     `sizeof(ernie_generation)` in the caller's header: tells the library which fields exist.
     */
    uint32_t struct_size;
    /*
     `ERNIE_DECODING_...`: how tokens are chosen. Default: beam search.
     */
    uint32_t decoding;
    /*
     Beam search: hypotheses that are followed, from 1 to 64. Default 5, as in the reference's script.
     */
    uint32_t n_beams;
    /*
     Texts wanted for each input: the best hypotheses, or so many samples; 64 at most. Default 1.
     */
    uint32_t n_sequences;
    /*
     Beam search: hypotheses are compared by `log p / ((5 + tokens) / 6)^length_penalty`, from -10 to 10; 0 compares by `log p`. Default 1.
     */
    float length_penalty;
    /*
     Sampling: logits are divided by it; below 1 likely tokens become likelier. Above 0 and finite. Default 1.
     */
    float temperature;
    /*
     Sampling: only the likeliest tokens that together have this probability, above 0. Default 1: all.
     */
    float top_p;
    /*
     Logits of tokens that were written are divided by it, or multiplied where they are negative. From 0.001 to 1000.
     Default 1: nothing is done.
     */
    float repetition_penalty;
    /*
     Sampling: only so many of the likeliest tokens. Default 0: all.
     */
    uint32_t top_k;
    /*
     No sequence of so many tokens is written twice. Default 0: any may be.
     */
    uint32_t no_repeat_ngram;
    /*
     `ERNIE_SOURCE_PADDING_...`: what of a batch a text's words see.
     */
    uint32_t source_padding;
    /*
     Always 0.
     */
    uint32_t reserved;
    /*
     Tokens of a text at most. A source, these and the token that asks for the next have a position of the model each.
     Default 0: 120, or a quarter of the positions where that is less.
     */
    size_t max_new_tokens;
    /*
     Tokens of a text at least. Default 0.
     */
    size_t min_new_tokens;
    /*
     Sampling: the same seed gives the same text, whatever the batch: equal inputs of a call have equal samples. Sequences
     of one input differ. Default 0.
     */
    uint64_t seed;
    /*
     A text ends before any of these strings, which are not empty. Default: none.
     */
    const struct ernie_str *stop;
    /*
     The number of stop strings.
     */
    size_t n_stop;
    /*
     Ids of tokens that are not written. Default: none.
     */
    const int64_t *forbidden_tokens;
    /*
     The number of forbidden tokens.
     */
    size_t n_forbidden_tokens;
    /*
     Ids of tokens that every text begins with, whatever else is asked for; none that is forbidden or ends a text. Default:
     none.
     */
    const int64_t *forced_tokens;
    /*
     The number of forced tokens.
     */
    size_t n_forced_tokens;
    /*
     Takes pieces of texts as soon as they are certain: of beam search what all hypotheses agree on, of the best text. NULL: nobody.
     */
    ernie_text_fn on_text;
    /*
     Given to `on_text`.
     */
    void *user;
} ernie_generation;

/*
 Takes the end of an asynchronous call: `result` where it succeeded, with `status` NULL; else `status`, with `result` NULL. Both
 belong to the function, which frees them. Called exactly once for each call that was accepted, by a thread of the library, maybe
 before the function that made the call returns. It may make other calls, also on the same model, and free the model. While it
 runs its thread makes no other calls: what takes long is done elsewhere. It must not throw an exception: one that leaves it
 ends the program.
 */
typedef void (*ernie_done_fn)(void *user, struct ernie_status *status, struct ernie_result *result);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The code of a status: `ERNIE_OK` for NULL, else one of `ERNIE_ERROR_...`. Codes keep their meaning for ever.

 # Safety
 - `status` is NULL or a live status.
 */
int32_t ernie_status_code(const struct ernie_status *status);

/*
 The message of a status, with its causes: what is wrong and where. UTF-8, NUL-terminated, never NULL; it lives as
 long as the status. The empty string for NULL.

 # Safety
 - `status` is NULL or a live status.
 */
const char *ernie_status_message(const struct ernie_status *status);

/*
 The name of a code: `"INVALID_ARGUMENT"` for `ERNIE_ERROR_INVALID_ARGUMENT`, `"OK"`, `"UNKNOWN"` for numbers that
 are no code. A static string.
 */
const char *ernie_status_code_name(int32_t code);

/*
 Frees a status. NULL is allowed.

 # Safety
 - `status` is NULL or a status that was not freed yet.
 */
void ernie_status_free(struct ernie_status *status);

/*
 The version of the library as a number: `major * 10000 + minor * 100 + patch`, as `ERNIE_VERSION_NUMBER` is that
 of the header.
 */
uint32_t ernie_version(void);

/*
 How the library was built: version, target, oldest ONNX Runtime. A static string.
 */
const char *ernie_build_info(void);

/*
 The ONNX Runtime in use, as `ONNX Runtime 1.28.0 at /path`. The empty string before one was loaded. A static
 string, the same once one is loaded.
 */
const char *ernie_runtime_info(void);

/*
 Loads ONNX Runtime from `path`: the library, or a directory that holds `libonnxruntime.so.1`. Optional: opening a
 model searches `ERNIE_ORT_PATH`, a runtime already in the process, the directory of libernie.so, and the system.
 A process has one runtime; loading the same again is no error.

 Errors: `RUNTIME_MISSING` (cannot be loaded, or too old), `INVALID_ARGUMENT` (another one is in use).

 Loading sets the environment variable `ORT_DISABLE_TELEMETRY` of the process to 1, unless it is: a program whose
 other threads use the environment at that moment sets it before.

 # Safety
 - `path` is NULL or a NUL-terminated string.
 */
struct ernie_status *ernie_runtime_load(const char *path);

/*
 Sends messages up to `level` (`ERNIE_LOG_...`) to `callback`, those of ONNX Runtime included; NULL sends none.
 Without a callback the library is silent. The callback set before may still be running in other threads when this
 returns: what `user` points to must outlive their calls.

 Errors: `INVALID_ARGUMENT` (no such level).

 # Safety
 - `callback` is NULL or may be called with `user` from any thread until another one is set and calls have ended.
 */
struct ernie_status *ernie_set_log_callback(ernie_log_fn callback,
                                            void *user,
                                            int32_t level);

/*
 A handle that is not signalled. The caller frees it. NULL where memory cannot be had.
 */
struct ernie_cancel *ernie_cancel_new(void);

/*
 Ends the calls that have this handle: those that wait for their turn at once (within milliseconds), the others before their next
 run of the graph, of generation before the next word. Calls that begin later end at once; a call that has returned stays as it is. NULL is allowed. May be called from any thread at any time, also from a
 signal handler.

 # Safety
 - `cancel` is NULL or live.
 */
void ernie_cancel_signal(const struct ernie_cancel *cancel);

/*
 1 where it was signalled, else 0; 0 for NULL.

 # Safety
 - `cancel` is NULL or live.
 */
int32_t ernie_cancel_is_signalled(const struct ernie_cancel *cancel);

/*
 Frees a handle. NULL is allowed. Calls that were given it must have returned; asynchronous ones may be under way.

 # Safety
 - `cancel` is NULL or was not freed yet, and nobody uses it.
 */
void ernie_cancel_free(struct ernie_cancel *cancel);

/*
 New options with their defaults. The caller frees them.
 */
struct ernie_options *ernie_options_new(void);

/*
 Frees options. NULL is allowed. Models opened with them are not affected.

 # Safety
 - `options` is NULL or was not freed yet.
 */
void ernie_options_free(struct ernie_options *options);

/*
 Sets one option; both strings are copied.

 - `provider`: where the graph runs: `cpu` (default), `cuda`, `tensorrt`, or `openvino` (on the processor), of a runtime that has it; `device_id`: which
   GPU of CUDA and TensorRT, from 0, or several separated by commas, each once, 64 at most: each has a session with a copy of the weights, and runs, also those of one
   call, go to the one with the least to do; other providers ignore a single number and refuse several, also with `fallback` = `cpu`; `device_memory_mb`: megabytes, 16777216 at most, that CUDA's arena takes of its memory at most; 0 (default) = no limit
 - `fallback`: what happens where the provider cannot be had: opening fails (`error`, default), or the model runs on the processor (`cpu`);
   `ernie_model_info_get` tells where, and the log warns. Options that do not fit the provider asked for, and folders that are
   not there, are errors in either case
 - `provider_libraries`: folders, separated by colons, whose libraries of CUDA, cuDNN and TensorRT (the highest version of each) are loaded before
   these providers, once a process, also from folders named `lib` up to two levels below, as in pip's `site-packages/nvidia`;
   default: the system's loader finds them
 - `engine_cache`: a directory that exists, where TensorRT keeps what it compiled of checkpoints, in a folder of its own for each graph with its
   weights, device and runtime; folders are never removed; default: it compiles at every opening. Other providers do not use it
 - `threads`: threads inside one operator, and for tokenizing large batches, 4096 at most; 0 (default) = one per physical core
 - `spinning`: whether idle threads wait awake: `auto` (default: `runs` for a checkpoint with no more threads than cores, else
   `off`), `off`, `runs` (while a run is under way), `on`; with more threads than cores the last two make runs many times slower
 - `prepacking`: weights of a checkpoint are packed for the products of this library (`on`, default), or are used where they lie in the
   file by ONNX Runtime's (`off`: opens in milliseconds, takes the file's pages only, is slower; a text alone and in a batch then
   agree to rounding, not to the last bit; generators are always packed)
 - `arena`: memory of runs is kept (`keep`, default), given back after each (`shrink`), or not pooled (`off`)
 - `profile`: the beginning of a path to which ONNX Runtime writes its profile of every run when the model is freed (default: none)
 - `precision`: how a checkpoint's weights are kept and multiplied: `auto` (as stored, multiplied as f32, default), `f32`, `f16` (rounded to
   it, multiplied as f32, by CUDA and TensorRT as f16), `bf16` (layers by products of 16 bits with sums of 32), `int8` (layers by products of 8 bits: weights
   have a scale for each output, tokens one each, so that a text gives the same alone and in any batch; heads stay f32,
   the words of a head bf16); the last two need provider `cpu` and `prepacking`; an exported graph runs in the
   precision it was stored in, and other values than `auto` are refused for it
 - `weights`: the weights of a checkpoint, where they lie apart from its config or are several: a path as it stands
   or in the model's directory, where a bare file name is looked for first
 - `attention_mask`: which tokens of a text are attended to: `reference` (default: what the model's reference leaves out
   is left out: a literal `[PAD]`, or `[CLS]` by ERNIE-M), `all`
 - `max_rows` (32), `max_batch_tokens` (1024): what shares one run of the graph at most
 - `max_queue`: calls that may wait for the model at a time: more are refused with `ERNIE_ERROR_BUSY`; 0 (default) = any number. A
   call that runs no longer waits, but an asynchronous one counts until it ends: with 1, one call runs and one waits, or
   one asynchronous call is under way
 - `max_wait_us`: microseconds, 10,000,000 at most, that a run which is not full waits for texts of more callers: a lone caller waits
   as long; 0 (default) = it waits only for callers that shared the run before it, a sixteenth of that run's time at most
 - `async_threads` (32): threads at most that asynchronous calls are made in, from 1 to 4096
 - `max_tokens`: tokens of a text, or of a text and its pair together, at most, special tokens included; 0 (default) = what
   the model has
 - `truncation`: `auto` (default: windows for reading comprehension and extraction, else `truncate`), `truncate`,
   `error`, `longest_first`, `only_first`, `only_second`, `windows` (generation refuses it when it is called), as
   `ERNIE_TRUNCATION_...` says; `doc_stride`: by how many tokens windows move; 0 (default) = 128, but half a window at most
 - `seed_truncate_to`: cut to so many content tokens as the 2021 tokenizer does; 0 (default) = not
 - `special_tokens`: `[CLS]` and the like in a text: `recognize` (default) or `plain`
 - `tokenizer`: `auto` (default), `ernie`, `bert`, `bert-fast`, `bert-paddlenlp`, `ernie-tiny`, `ernie-m`, `ernie-m-hf`,
   `tokenizer.json`; `lowercase`: `auto` (default), `on`, `off`; `mask_token`: `auto` (default), `special`, or
   `none`: `[MASK]` in a text is text, which is the default of generators of paddle-ernie, as their reference has it
 - `attention_token`: of a generator, the token that asks for the next one: `auto` (default: `[ATTN]`, else `[MASK]`), or a token;
   `target_type_id`: the type of the tokens that it writes: `auto` (default: 3, or the last that the model has), or a number
 - `draft_tokens`: of a generator on the processor whose weights are multiplied as f32, words that greedy search, or sampling of one sequence, has
   guessed ahead by a copy of the weights in 8 bits (a quarter more memory, made by the first such call, shared by models of the same files), and
   then checks in one run of the model: texts and scores are the same to the last bit, in about half the time where most guesses are
   right; fewer are guessed where they are not, or where more texts are written together (with 5 none beyond 3 texts), within `max_rows` and `max_batch_tokens`.
   16 at most, default 5; 0 = none. Where there is no memory for the copy the log warns, and none are guessed
 - `task`: `auto` (default), `encoder`, `sequence_classification`, `token_classification`, `question_answering`,
   `masked_lm`, `information_extraction`, `multiple_choice`, `dual_encoder`, `cross_encoder`, `generation`, or `tensors`
   for any model with `ernie_infer_tensors` only
 - `problem`: `auto` (default), `single_label`, `multi_label`, `regression`
 - `labels`: the names of labels, a file of the model's directory or a path: JSON `{"name": id}`, `{"id": "name"}` or
   `["name", ...]`, or lines `name` or `name<TAB>id`; default: those of the config, else of `label_map.json`
 - `average_layers`: tokens' vectors are the mean of so many of the last layers; default 1
 - `graph`: run this graph of the directory; default: the checkpoint, else `model.onnx` or the only `.onnx` file
 - `inputs`, `outputs`: names of the graph by role, where they are not the usual ones: `input_ids=x,token_type_ids=y`

 Errors: `INVALID_ARGUMENT` (NULL, unknown key or value; the message lists what there is), `INVALID_UTF8`.

 # Safety
 - `options` is NULL or live, and no other thread uses it; `key` and `value` are NULL or NUL-terminated strings.
 */
struct ernie_status *ernie_options_set(struct ernie_options *options,
                                       const char *key,
                                       const char *value);

/*
 Sets where the graph runs: `provider` is `cpu`, `cuda`, `tensorrt` or `openvino`, `device_id` says which GPU, from 0. Several GPUs are set by option
 `device_id` of `ernie_options_set` after this, which takes the place of what was set before.

 Errors: `INVALID_ARGUMENT` (NULL, unknown provider, negative device). Whether the provider can be had is found out
 when a model is opened.

 # Safety
 - As `ernie_options_set`.
 */
struct ernie_status *ernie_options_set_provider(struct ernie_options *options,
                                                const char *provider,
                                                int32_t device_id);

/*
 Whether the provider of these options can be used here (NULL: the processor): its runtime and libraries are loaded, and each of its devices runs a graph of
 one addition. Opening a model begins with it; this tells it without a model. Loads ONNX Runtime when none is loaded yet, as `ernie_model_open` does.
 Callable from any thread.

 Errors: `RUNTIME_MISSING`, `PROVIDER_UNAVAILABLE` (the message has the words of the loader or of the device: which library is
 missing, which device there is not), `INVALID_ARGUMENT` (a folder of `provider_libraries` is not there, or several
 devices of a provider that has one).

 # Safety
 - `options` is NULL or live, and no other thread changes it.
 */
struct ernie_status *ernie_provider_check(const struct ernie_options *options);

/*
 The number of entries: one for each input that the call was given, or for each window where `ernie_tokenizer_encode` was
 asked for them, or for each token of `ernie_tokenizer_tokens`; 1 for `ernie_rank`, tensors and decoded text, 0 for NULL.

 # Safety
 - `result` is NULL or live.
 */
size_t ernie_result_count(const struct ernie_result *result);

/*
 The number of encodings, which `ernie_result_tokens`, `ernie_result_fragment` and `ernie_result_tensor` count by: as many as
 entries, or more where inputs went through in windows; those of an input follow one another, `ernie_tokens.input` says
 which it is. 0 where the call gives no tokens, and for NULL.

 # Safety
 - `result` is NULL or live.
 */
size_t ernie_result_encoding_count(const struct ernie_result *result);

/*
 What is wrong with input `index` (of `ernie_rank`: candidate `index`) of a call with `ERNIE_ERRORS_INPUT`: `code` receives `ERNIE_OK` or one of
 `ERNIE_ERROR_...`, `message` (may be NULL) what and where; it lives as long as the result. Without that flag every
 input of a result is `ERNIE_OK`.

 Errors: `INVALID_ARGUMENT` (NULL, or no such input).

 # Safety
 - `result` is NULL or live; `code` and `message` are NULL or writable.
 */
struct ernie_status *ernie_result_error(const struct ernie_result *result,
                                        size_t index,
                                        int32_t *code,
                                        struct ernie_str *message);

/*
 The findings of input `index`, best first; entities and extracted ones in the order of the text: `items` receives an
 array of `n_items`.

 Errors: `INVALID_ARGUMENT` (NULL, no such input, or the call gives none).

 # Safety
 - `result` is NULL or live; `items` and `n_items` are NULL or writable.
 */
struct ernie_status *ernie_result_items(const struct ernie_result *result,
                                        size_t index,
                                        const struct ernie_item **items,
                                        size_t *n_items);

/*
 A row for each input: vectors of `ernie_encode`, numbers of `ernie_infer` (which says what they are); of `ernie_rank` a
 row for each candidate.

 Errors: `INVALID_ARGUMENT` (NULL, or the call gives no matrix).

 # Safety
 - `result` is NULL or live; `matrix` is NULL or writable.
 */
struct ernie_status *ernie_result_matrix(const struct ernie_result *result,
                                         struct ernie_matrix *matrix);

/*
 The vectors of the tokens of input `index`, special tokens included: `[n_tokens, hidden_size]`. Of `ernie_infer` with a
 token classifier: the logits of its words that have a prediction, `[n_words, n_labels]`.

 Errors: `INVALID_ARGUMENT` (NULL, no such input, or the call was made without `ERNIE_OUTPUT_TOKENS`).

 # Safety
 - `result` is NULL or live; `matrix` is NULL or writable.
 */
struct ernie_status *ernie_result_token_matrix(const struct ernie_result *result,
                                               size_t index,
                                               struct ernie_matrix *matrix);

/*
 The number of tensors of entry `index`: 0 for the only entry of `ernie_infer_tensors`, else the encoding of a call
 with `ERNIE_OUTPUT_RAW`. 0 where there are none.

 # Safety
 - `result` is NULL or live.
 */
size_t ernie_result_tensor_count(const struct ernie_result *result,
                                 size_t index);

/*
 Tensor `tensor_index` of entry `index`. For texts: the graph's outputs for that text alone, padding removed, with a
 leading dimension of 1.

 Errors: `INVALID_ARGUMENT` (NULL, or no such tensor).

 # Safety
 - `result` is NULL or live; `tensor` is NULL or writable.
 */
struct ernie_status *ernie_result_tensor(const struct ernie_result *result,
                                         size_t index,
                                         size_t tensor_index,
                                         struct ernie_tensor *tensor);

/*
 The text of entry `index`: what `ernie_tokenizer_decode` wrote, or a token of `ernie_tokenizer_tokens`.

 Errors: `INVALID_ARGUMENT` (NULL, no such entry, or the call gives no text).

 # Safety
 - `result` is NULL or live; `text` is NULL or writable.
 */
struct ernie_status *ernie_result_text(const struct ernie_result *result,
                                       size_t index,
                                       struct ernie_str *text);

/*
 Frees a result. NULL is allowed.

 # Safety
 - `result` is NULL or was not freed yet, and nobody reads it.
 */
void ernie_result_free(struct ernie_result *result);

/*
 The tokens of entry `index`: an input, or a window of one.

 Errors: `INVALID_ARGUMENT` (NULL, `tokens->struct_size` not set, no such input, or the call has no tokens).

 # Safety
 - `result` is NULL or live; `tokens` is NULL or writable as far as its `struct_size` says.
 */
struct ernie_status *ernie_result_tokens(const struct ernie_result *result,
                                         size_t index,
                                         struct ernie_tokens *tokens);

/*
 The fragment of a text that tokens `first_token` up to, not including, `end_token` of entry `index` cover: `sequence`
 receives `ERNIE_SEQUENCE_...` (`NONE` where the range holds added tokens only), and `span` the bytes of that text.

 Errors: `INVALID_ARGUMENT` (NULL, no such entry or tokens, or the range holds tokens of both texts).

 # Safety
 - `result` is NULL or live; `sequence` and `span` are NULL or writable.
 */
struct ernie_status *ernie_result_fragment(const struct ernie_result *result,
                                           size_t index,
                                           size_t first_token,
                                           size_t end_token,
                                           uint8_t *sequence,
                                           struct ernie_span *span);

/*
 Counts `n_spans` spans of `text` in another unit: from `ERNIE_UNIT_...` to `ERNIE_UNIT_...`. Spans may stand in any
 order; `converted` may be `spans`. The cost is that of one pass over the text. The offsets of a pair's tokens are of two
 texts: give those of each with its text.

 Errors: `INVALID_UTF8`, `INVALID_ARGUMENT` (NULL, no such unit, or a span beyond the text, backwards or inside a
 character: the message names it); nothing is written then.

 # Safety
 - `text` is as `ernie_str` says; `spans` and `converted` point to `n_spans` spans, the second writable, or are NULL.
 */
struct ernie_status *ernie_spans_convert(struct ernie_str text,
                                         uint32_t from_unit,
                                         uint32_t to_unit,
                                         const struct ernie_span *spans,
                                         size_t n_spans,
                                         struct ernie_span *converted);

/*
 Opens the tokenizer of the model in directory `dir`. Needs no ONNX Runtime. `options` may be NULL; those that count
 are `tokenizer`, `lowercase`, `mask_token`, `max_tokens`, `truncation`, `doc_stride`, `special_tokens` and `threads`.
 The caller frees the tokenizer.

 Errors: `NOT_FOUND` (no such directory, or a file that the scheme needs is missing), `INVALID_MODEL` (a broken
 file), `UNSUPPORTED` (nothing tells the scheme, or one that is not supported), `INVALID_ARGUMENT`, `IO`.

 # Safety
 - `dir` is NULL or a NUL-terminated string; `options` is NULL or live; `tokenizer` is NULL or writable.
 */
struct ernie_status *ernie_tokenizer_open(const char *dir,
                                          const struct ernie_options *options,
                                          struct ernie_tokenizer **tokenizer);

/*
 Frees a tokenizer. NULL is allowed. Results taken from it stay valid.

 # Safety
 - `tokenizer` is NULL or was not freed yet, and no call on it is running.
 */
void ernie_tokenizer_free(struct ernie_tokenizer *tokenizer);

/*
 What a tokenizer is: its scheme, its limit, its special tokens.

 Errors: `INVALID_ARGUMENT` (NULL, or `info->struct_size` not set).

 # Safety
 - `tokenizer` is NULL or live; `info` is NULL or writable as far as its `struct_size` says.
 */
struct ernie_status *ernie_tokenizer_info_get(const struct ernie_tokenizer *tokenizer,
                                              struct ernie_tokenizer_info *info);

/*
 The tokens that ids stand for, as the vocabulary writes them (`##ing`, `▁the`): `ernie_result_text(result, k, ...)`
 is that of `ids[k]`. The caller frees the result.

 Errors: `INVALID_ARGUMENT` (NULL, or an id outside the vocabulary: the message names it and its index).

 # Safety
 - `tokenizer` is NULL or live; `ids` is NULL or points to `n_ids` ids; `result` is NULL or writable.
 */
struct ernie_status *ernie_tokenizer_tokens(const struct ernie_tokenizer *tokenizer,
                                            const int64_t *ids,
                                            size_t n_ids,
                                            struct ernie_result **result);

/*
 The number of token ids: one more than the largest. 0 for NULL.

 # Safety
 - `tokenizer` is NULL or live.
 */
size_t ernie_tokenizer_vocab_size(const struct ernie_tokenizer *tokenizer);

/*
 The id of a token, such as `[MASK]`: `id` receives it, or -1 where the vocabulary has no such token.

 Errors: `INVALID_UTF8`, `INVALID_ARGUMENT` (NULL).

 # Safety
 - `tokenizer` is NULL or live; `token` is as `ernie_str` says; `id` is NULL or writable.
 */
struct ernie_status *ernie_tokenizer_token_id(const struct ernie_tokenizer *tokenizer,
                                              struct ernie_str token,
                                              int64_t *id);

/*
 Token ids of texts: `ernie_result_tokens` gives ids, type ids, mask and byte offsets of each. `call` may be NULL;
 `max_tokens`, `truncation`, `doc_stride`, `seed_truncate_to` and `special_tokens` of it count. Large batches are encoded
 by several threads, in order. The caller frees the result.

 With `ERNIE_TRUNCATION_WINDOWS` the result has an entry for each window, those of a text one after another:
 `ernie_result_count` counts windows, and `ernie_tokens.input` and `.window` say which is which.

 One text that cannot be encoded fails the call.

 Errors: `INVALID_UTF8`, `TEXT_TOO_LONG` (both name the input; with windows too, where the text alone leaves no room for its
 pair), `INVALID_ARGUMENT`, `UNSUPPORTED`.

 # Safety
 - `tokenizer` is NULL or live; `inputs` is NULL or points to `n_inputs` inputs; `call` is NULL or initialised;
   `result` is NULL or writable.
 */
struct ernie_status *ernie_tokenizer_encode(const struct ernie_tokenizer *tokenizer,
                                            const struct ernie_input *inputs,
                                            size_t n_inputs,
                                            const struct ernie_call *call,
                                            struct ernie_result **result);

/*
 Writes token ids as text, for `ernie_result_text(result, 0, ...)`. `special_tokens` is `ERNIE_DECODE_...`. Pieces of
 words are joined; what stands between words is the scheme's: `ernie` puts a blank before words of ASCII letters and
 digits, as its reference does, `bert` between all, SentencePiece where the text had one. The caller frees the result.

 Errors: `INVALID_ARGUMENT` (NULL, or an id outside the vocabulary: the message names it and its index).

 # Safety
 - `tokenizer` is NULL or live; `ids` is NULL or points to `n_ids` ids; `result` is NULL or writable.
 */
struct ernie_status *ernie_tokenizer_decode(const struct ernie_tokenizer *tokenizer,
                                            const int64_t *ids,
                                            size_t n_ids,
                                            uint32_t special_tokens,
                                            struct ernie_result **result);

/*
 Opens the model at `path`: a directory with a checkpoint (paddle-ernie, PaddleNLP, Hugging Face, Paddle inference), a
 bundle of `ernie export` or an exported graph, or an `.onnx` file. `options` may be NULL. The caller frees the model.
 Loads ONNX Runtime when none is loaded yet, with what `ernie_runtime_load` says of the environment. Models of the same
 files share their weights.

 The files of a checkpoint or bundle stay mapped while the model is open. They must not be written to in place, as
 `cp` over them does: the model would answer from a mixture of weights, and a file that became shorter ends the process
 with `SIGBUS`, whatever the options. Replacing a file by `mv` or `rename` is fine: the open model keeps the old one.

 On a processor with AMX the first model asks Linux for the use of its matrix registers, for the whole process: a signal stack that is
 set up afterwards (`sigaltstack`) needs the size that `getauxval(AT_MINSIGSTKSZ)` tells, which is more than the old `MINSIGSTKSZ`.

 Errors: `NOT_FOUND` (nothing there, no model in it, or no vocabulary), `INVALID_MODEL` (a broken file, a tensor that is
 missing, of another shape or not finite), `UNSUPPORTED` (a network that is not ERNIE's, or a graph whose inputs or
 outputs cannot be told apart: the message lists them), `INVALID_ARGUMENT` (an option that this model cannot follow),
 `RUNTIME_MISSING`, `PROVIDER_UNAVAILABLE`, `IO`.

 # Safety
 - `path` is NULL or a NUL-terminated string; `options` is NULL or live; `model` is NULL or writable.
 */
struct ernie_status *ernie_model_open(const char *path,
                                      const struct ernie_options *options,
                                      struct ernie_model **model);

/*
 Adds an owner: the model lives until each was freed. Returns `model`.

 # Safety
 - `model` is NULL or live.
 */
struct ernie_model *ernie_model_retain(const struct ernie_model *model);

/*
 Gives up one ownership of a model. NULL is allowed. Results and tokenizers taken from it stay valid.

 # Safety
 - `model` is NULL or owned by the caller; no call on it is running on behalf of this owner.
 */
void ernie_model_free(struct ernie_model *model);

/*
 What the model is.

 Errors: `INVALID_ARGUMENT` (NULL, or `info->struct_size` not set).

 # Safety
 - `model` is NULL or live; `info` is NULL or writable as far as its `struct_size` says.
 */
struct ernie_status *ernie_model_info_get(const struct ernie_model *model, struct ernie_model_info *info);

/*
 The name of label `id`: NUL-terminated UTF-8 that lives as long as the model. NULL where there is no such label
 or it has no name.

 # Safety
 - `model` is NULL or live.
 */
const char *ernie_model_label(const struct ernie_model *model,
                              size_t id);

/*
 Counters since the model was opened. Each is exact; together they may show a call that is under way.

 Errors: `INVALID_ARGUMENT` (NULL, or `statistics->struct_size` not set).

 # Safety
 - `model` is NULL or live; `statistics` is NULL or writable as far as its `struct_size` says.
 */
struct ernie_status *ernie_model_stats(const struct ernie_model *model,
                                       struct ernie_model_statistics *statistics);

/*
 The model's tokenizer, as a handle of its own that the caller frees.

 Errors: `UNSUPPORTED` (the model has no usable tokenizer; the message says why), `INVALID_ARGUMENT` (NULL).

 # Safety
 - `model` is NULL or live; `tokenizer` is NULL or writable.
 */
struct ernie_status *ernie_model_tokenizer(const struct ernie_model *model,
                                           struct ernie_tokenizer **tokenizer);

/*
 What the model's task gives for texts. `call` may be NULL. The caller frees the result; nothing of `inputs` is kept.

 `ernie_result_items` gives the findings of each input, `ernie_result_matrix` numbers with a row for each:

 - `sequence_classification`, `cross_encoder`, `multiple_choice` (a choice is the pair of its question): labels, best
   first; the logits. In windows: by the mean of the windows' logits.
 - `token_classification` (no pair): entities in the order of the text, `label` the type, `text` the characters; or with
   `ERNIE_TAGS_WORDS` every word with its label. A word's logits are the mean of its tokens'. No matrix. In windows: every
   token as the window sees it that shows most around it, so that nothing is found twice or cut.
 - `question_answering` (text = question, pair = passage): answers, best first, places in the pair; scores are
   probabilities among the answers given. The matrix is `[n_inputs, 2]`: sum of the logits of the best answer and of no
   answer (`[CLS]`), NaN where there is none. In windows (the default) of 512 tokens at most that move by 128: the best of
   all windows. Questions with the same passage share its tokenization.
 - `masked_lm`: for every `[MASK]` (`group`) the likeliest words, places are those of the `[MASK]`. With `candidates`
   only those, `id` their index; one of several tokens is scored with as many `[MASK]`s, `score` is the geometric mean of its
   tokens' probabilities; a text is cut so that the longest of them has room. No matrix.
 - `information_extraction`: what `schema` names, in its order and that of the text; what belongs to a finding follows it and
   names it as `parent`. A prompt with options (`情感倾向[正向，负向]`) gives an option without a place. No matrix; tokens are those
   of the schema's first name with the text, and tell what of it was searched.
   Without a schema the text is a prompt, and places count in the pair. In windows (the default) of 512 tokens at
   most that overlap by 128.

 - `generation`: what `ernie_generate` writes by default, a text for each input. No matrix. With `ERNIE_OUTPUT_RAW` what
   the graph gives for the sources, and no texts or items; `ERNIE_OUTPUT_TOKENS` is refused.

 With `ERNIE_ERRORS_INPUT` an input that cannot be answered does not fail the others.

 Errors: `INVALID_UTF8`, `TEXT_TOO_LONG`, `INVALID_ARGUMENT` (a schema that is none; no passage, no `[MASK]`, more findings than are
 allowed (65536 of a text, 1048576 of a call): these name the input), `UNSUPPORTED` (the model has no head, or one whose answers this version does not make: with `ERNIE_OUTPUT_RAW` its
 raw outputs can be had), `RUNTIME`.

 # Safety
 - As `ernie_encode`.
 */
struct ernie_status *ernie_infer(const struct ernie_model *model,
                                 const struct ernie_input *inputs,
                                 size_t n_inputs,
                                 const struct ernie_call *call,
                                 struct ernie_result **result);

/*
 Runs the graph on the caller's own tensors, by name; `ernie_result_tensor(result, 0, k)` gives output `k`. Works
 for any graph (option `task` = `tensors` opens graphs that take no texts). Tensors are only read, and only during
 the call. The caller frees the result.

 A checkpoint or bundle takes padded rows of token ids, int64 or int32 `[rows, tokens]`: `input_ids` and, where they
 differ from what the reference takes without them, `token_type_ids`, `attention_mask` (0 = masked; also float32 or
 bool), `position_ids` (from 0), `task_type_ids`; also under the names of the 2021 demo, `src_ids`, `sent_ids`, `mask`,
 `pos_ids`, `task_ids`, and with shape `[rows, tokens, 1]`. It gives the reference's outputs for every row and token. Give `attention_mask` whenever rows
 are padded: without it the rule of the reference holds, which leaves out id 0 (paddle-ernie, ERNIE-M: there that is
 `[CLS]`), the padding id (PaddleNLP) or nothing (Hugging Face). A mask that is given replaces that rule.

 Errors: `INVALID_ARGUMENT` (a tensor is missing, unknown, twice, or of another type or shape than the graph's: the
 message lists what the graph takes), `RUNTIME`.

 # Safety
 - `model` is NULL or live; `tensors` is NULL or points to `n_tensors` tensors as `ernie_tensor` says; `result` is
   NULL or writable.
 */
struct ernie_status *ernie_infer_tensors(const struct ernie_model *model,
                                         const struct ernie_tensor *tensors,
                                         size_t n_tensors,
                                         struct ernie_result **result);

/*
 Vectors of texts: `ernie_result_matrix` gives `[n_inputs, hidden_size]`, with `ERNIE_OUTPUT_TOKENS`
 `ernie_result_token_matrix` the vectors of each text's tokens. `call` may be NULL. The caller frees the result;
 nothing of `inputs` is kept.

 The same text gives the same vector alone and in any batch. With `ERNIE_TRUNCATION_WINDOWS` mean and maximum are over all
 tokens of a text, each as the window sees it that shows most around it; the other poolings give the mean of the
 windows' vectors. With `ERNIE_ERRORS_INPUT` an input that cannot be encoded does not fail the others.

 Errors: `INVALID_UTF8`, `TEXT_TOO_LONG` (both name the input), `UNSUPPORTED` (the graph gives no vectors, or not
 those of the pooling asked for), `INVALID_ARGUMENT`, `RUNTIME`.

 # Safety
 - `model` is NULL or live; `inputs` is NULL or points to `n_inputs` inputs; `call` is NULL or initialised;
   `result` is NULL or writable.
 */
struct ernie_status *ernie_encode(const struct ernie_model *model,
                                  const struct ernie_input *inputs,
                                  size_t n_inputs,
                                  const struct ernie_call *call,
                                  struct ernie_result **result);

/*
 As `ernie_encode`, with the vectors in the caller's memory: row-major `[n_inputs, hidden_size]` floats.
 `hidden_size` (may be NULL) receives the width. Nothing is written on an error. `call.errors` must be 0: there is no
 result that could tell of one input.

 Errors: those of `ernie_encode`, and `BUFFER_TOO_SMALL` (the message says how many floats are needed).

 # Safety
 - As `ernie_encode`; `vectors` is NULL or writable for `n_floats` floats; `hidden_size` is NULL or writable.
 */
struct ernie_status *ernie_encode_into(const struct ernie_model *model,
                                       const struct ernie_input *inputs,
                                       size_t n_inputs,
                                       const struct ernie_call *call,
                                       float *vectors,
                                       size_t n_floats,
                                       size_t *hidden_size);

/*
 As `ernie_encode_into`, with numbers of `element_type`: `ERNIE_TYPE_FLOAT32`, `_FLOAT16`, `_BFLOAT16` or `_INT8`. Vector `k`
 of int8 is its integers times `scales[k]` (the largest absolute value over 127); `scales` has room for `n_inputs`
 floats, or is NULL. `vectors` need not be aligned.

 Errors: those of `ernie_encode_into` (`BUFFER_TOO_SMALL` in bytes), and `INVALID_ARGUMENT` for another type.

 # Safety
 - As `ernie_encode`; `vectors` is NULL or writable for `n_bytes`; `scales` is NULL or writable for `n_inputs` floats;
   `hidden_size` is NULL or writable.
 */
struct ernie_status *ernie_encode_as(const struct ernie_model *model,
                                     const struct ernie_input *inputs,
                                     size_t n_inputs,
                                     const struct ernie_call *call,
                                     uint32_t element_type,
                                     void *vectors,
                                     size_t n_bytes,
                                     float *scales,
                                     size_t *hidden_size);

/*
 How well each of `n_candidates` texts fits a query: `ernie_result_items(result, 0, ...)` gives the candidates best first
 (`id` = index, at most `call.top_k`), `ernie_result_matrix` their scores `[n_candidates, 1]` in the caller's order.
 `call` may be NULL. The caller frees the result.

 - `cross_encoder`, `sequence_classification` of pairs: the probability of label 1 of two labels, the value of one
   (with `ERNIE_PROBLEM_MULTI_LABEL` its sigmoid).
 - `multiple_choice`: the choices' probabilities.
 - `dual_encoder`, `encoder`: the dot product of the vectors of query and candidate; with `ERNIE_NORMALIZE_L2` their
   cosine. Where queries and candidates have models of their own, or candidates are kept: `ernie_rank_vectors`.

 With `ERNIE_TRUNCATION_WINDOWS` a candidate counts by its best window, or by the vector that `ernie_encode` gives it. `ernie_result_tokens` tells of each candidate
 (`ernie_tokens.input`) what was cut. With `ERNIE_ERRORS_INPUT` a candidate that cannot be scored has a score of NaN and is not
 ranked; `ernie_result_error` tells why, by its index.

 Errors: those of `ernie_infer`, naming the candidate's index; `UNSUPPORTED` for other tasks and for three labels or more.

 # Safety
 - `model` is NULL or live; `query` is as `ernie_str` says; `candidates` is NULL or points to `n_candidates` such texts;
   `call` is NULL or initialised; `result` is NULL or writable.
 */
struct ernie_status *ernie_rank(const struct ernie_model *model,
                                struct ernie_str query,
                                const struct ernie_str *candidates,
                                size_t n_candidates,
                                const struct ernie_call *call,
                                struct ernie_result **result);

/*
 Vectors that were kept, in order of how alike they are to that of a query: the result is as that of `ernie_rank`, with
 scores by `similarity` (`ERNIE_SIMILARITY_...`), summed in double precision. `top_k` 0 = all. The caller frees the result.

 Errors: `INVALID_ARGUMENT` (NULL, no such similarity, or `n_columns` 0).

 # Safety
 - `query` is NULL or points to `n_columns` floats, `candidates` to `n_candidates` times as many; `result` is NULL or
   writable.
 */
struct ernie_status *ernie_rank_vectors(const float *query,
                                        const float *candidates,
                                        size_t n_candidates,
                                        size_t n_columns,
                                        uint32_t similarity,
                                        size_t top_k,
                                        struct ernie_result **result);

/*
 How alike each of `n_a` vectors is to each of `n_b`: `scores` receives `[n_a, n_b]` floats, by `similarity`
 (`ERNIE_SIMILARITY_...`), summed in double precision.

 Errors: `INVALID_ARGUMENT` (NULL, or no such similarity).

 # Safety
 - `a` is NULL or points to `n_a * n_columns` floats, `b` to `n_b * n_columns`; `scores` is NULL or writable for
   `n_a * n_b` floats, which are not among those of `a` and `b`.
 */
struct ernie_status *ernie_similarity(uint32_t similarity,
                                      const float *a,
                                      size_t n_a,
                                      const float *b,
                                      size_t n_b,
                                      size_t n_columns,
                                      float *scores);

/*
 The texts that `ernie_generate` wrote for input `index`: `n_sequences`, the best first; with sampling in the order of their
 numbers; with beam search fewer where there are no more hypotheses; none where the input is an error.

 Errors: `INVALID_ARGUMENT` (NULL, no such input, or the call wrote no texts).

 # Safety
 - `result` is NULL or live; `generated` and `n_generated` are NULL or writable.
 */
struct ernie_status *ernie_result_generated(const struct ernie_result *result,
                                            size_t index,
                                            const struct ernie_generated **generated,
                                            size_t *n_generated);

/*
 Writes a text for each input: its source, with its pair where it has one. `call` says how sources are tokenized
 (`max_tokens`, `truncation`, `seed_truncate_to`, `special_tokens`), whose errors are told, and what can cancel;
 `outputs` must be 0, its other fields count for nothing, though they must be valid. `generation` says how texts are
 written. Both may be NULL. The caller frees the result; nothing of `inputs` is kept.

 `ernie_result_generated` gives the texts of each input, `ernie_result_items` the same texts with their scores. A text is the same
 alone and in any batch (but for `ERNIE_SOURCE_PADDING_REFERENCE`). A source that leaves no room for `max_new_tokens`
 among the model's positions is cut, but not below half of the positions; `ernie_result_tokens` tells what of it was
 used. With `ERNIE_TRUNCATION_ERROR` it is refused instead; `ERNIE_TRUNCATION_WINDOWS`, of the call or of option
 `truncation`, is refused by the call, as there would be several sources of a text. Keys and values of all tokens are
 in memory during the call (`ernie_model_statistics.cache_bytes`), those of texts that are done no more.

 With `ERNIE_ERRORS_INPUT` an input that cannot be a source does not fail the others.

 Errors: `UNSUPPORTED` (the model writes no texts), `INVALID_ARGUMENT` (a value out of its range, values that contradict
 each other, those of sampling with another decoding, no room among the model's positions; the message names it),
 `CANCELLED`, `INVALID_UTF8`, `TEXT_TOO_LONG`, `OUT_OF_MEMORY`, `RUNTIME`.

 # Safety
 - As `ernie_encode`; `generation` is NULL or initialised, its lists hold what their numbers say.
 */
struct ernie_status *ernie_generate(const struct ernie_model *model,
                                    const struct ernie_input *inputs,
                                    size_t n_inputs,
                                    const struct ernie_call *call,
                                    const struct ernie_generation *generation,
                                    struct ernie_result **result);

/*
 `ernie_infer` in a thread of the library: returns at once, and `done` is given `user` and what `ernie_infer` would have given.

 Texts and what `call` points to are copied before this returns; its `cancel` may be freed from then on, and ends the call as
 long as it is there. The call is an owner of the model: `model` may be freed while it is under way. Calls that are under way at
 the same time share runs of the graph; no more than option `async_threads` are begun at a time, the others follow in their
 order. A program waits for the ends of its calls before it ends.

 Errors, with which `done` is not called: `INVALID_ARGUMENT` (NULL, a call that is none), `INVALID_UTF8` (but for
 `ERNIE_ERRORS_INPUT`), `BUSY` (as many calls are under way as option `max_queue` allows), `RUNTIME` (no thread can be had). Those of
 `ernie_infer` are given to `done`.

 # Safety
 - As `ernie_encode`; `done` is NULL or may be called with `user` from any thread until it was.
 */
struct ernie_status *ernie_infer_async(const struct ernie_model *model,
                                       const struct ernie_input *inputs,
                                       size_t n_inputs,
                                       const struct ernie_call *call,
                                       ernie_done_fn done,
                                       void *user);

/*
 `ernie_encode` in a thread of the library, as `ernie_infer_async` says.

 # Safety
 - As `ernie_infer_async`.
 */
struct ernie_status *ernie_encode_async(const struct ernie_model *model,
                                        const struct ernie_input *inputs,
                                        size_t n_inputs,
                                        const struct ernie_call *call,
                                        ernie_done_fn done,
                                        void *user);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ERNIE_H */
