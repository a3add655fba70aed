// ernie.hpp: the C++17 interface of libernie, header-only over ernie.h.
//
// Handles free themselves and move without throwing. Texts go in as std::string_view. A failed call throws
// ernie::Error, which carries the code; the object it was called on stays usable. Views (Matrix, Tokens, Items,
// Generated, TensorView and the string_views in them) point into the Result they came from and live as long as it.
//
// Threads: const member functions of Model, Tokenizer, Result and Cancel may be called from any number of threads at
// once; what is told of an asynchronous call is told by a thread of the library.
#ifndef ERNIE_HPP
#define ERNIE_HPP

#include "ernie.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ernie {

/// Why a call failed; the numbers are those of ERNIE_ERROR_...
enum class Code : std::int32_t {
    Ok = ERNIE_OK,
    InvalidArgument = ERNIE_ERROR_INVALID_ARGUMENT,
    InvalidUtf8 = ERNIE_ERROR_INVALID_UTF8,
    NotFound = ERNIE_ERROR_NOT_FOUND,
    Io = ERNIE_ERROR_IO,
    InvalidModel = ERNIE_ERROR_INVALID_MODEL,
    Unsupported = ERNIE_ERROR_UNSUPPORTED,
    TextTooLong = ERNIE_ERROR_TEXT_TOO_LONG,
    BufferTooSmall = ERNIE_ERROR_BUFFER_TOO_SMALL,
    RuntimeMissing = ERNIE_ERROR_RUNTIME_MISSING,
    ProviderUnavailable = ERNIE_ERROR_PROVIDER_UNAVAILABLE,
    Runtime = ERNIE_ERROR_RUNTIME,
    OutOfMemory = ERNIE_ERROR_OUT_OF_MEMORY,
    Cancelled = ERNIE_ERROR_CANCELLED,
    Internal = ERNIE_ERROR_INTERNAL,
    Busy = ERNIE_ERROR_BUSY,
};

/// A failed call: what() says what is wrong and where.
class Error : public std::runtime_error {
  public:
    Error(Code code, const std::string &message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] Code code() const noexcept { return code_; }

  private:
    Code code_;
};

namespace detail {

struct Free {
    void operator()(ernie_status *p) const noexcept { ernie_status_free(p); }
    void operator()(ernie_options *p) const noexcept { ernie_options_free(p); }
    void operator()(ernie_model *p) const noexcept { ernie_model_free(p); }
    void operator()(ernie_tokenizer *p) const noexcept { ernie_tokenizer_free(p); }
    void operator()(ernie_result *p) const noexcept { ernie_result_free(p); }
    void operator()(ernie_cancel *p) const noexcept { ernie_cancel_free(p); }
};

template <typename T> using Handle = std::unique_ptr<T, Free>;

/// Throws when a call failed.
inline void check(ernie_status *raw) {
    if (raw != nullptr) {
        const Handle<ernie_status> status(raw);
        throw Error(static_cast<Code>(ernie_status_code(raw)), ernie_status_message(raw));
    }
}

inline std::string_view view(ernie_str text) noexcept { return {text.data, text.len}; }

/// A struct of ernie.h that begins with its own size; everything else is 0.
template <typename T> T sized() noexcept {
    T value{};
    value.struct_size = static_cast<std::uint32_t>(sizeof(T));
    return value;
}

/// Texts that stay where they are, and views of them.
struct Texts {
    explicit Texts(std::vector<std::string> values) : texts(std::move(values)) {
        views.reserve(texts.size());
        for (const std::string &text : texts) {
            views.push_back({text.data(), text.size()});
        }
    }
    Texts(const Texts &) = delete;
    Texts &operator=(const Texts &) = delete;
    std::vector<std::string> texts;
    std::vector<ernie_str> views;
};

/// For arguments that C takes NUL-terminated: a NUL byte inside would silently cut them.
inline const char *c_str(const std::string &text) {
    if (text.find('\0') != std::string::npos) {
        throw Error(Code::InvalidArgument, "a NUL byte in \"" + std::string(text.c_str()) + "\"");
    }
    return text.c_str();
}

} // namespace detail

/// A read-only view of consecutive values, as std::span of C++20.
template <typename T> class Span {
  public:
    using value_type = T;

    Span() noexcept = default;
    Span(const T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    Span(const std::vector<T> &values) noexcept : data_(values.data()), size_(values.size()) {}
    [[nodiscard]] const T *data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] const T *begin() const noexcept { return data_; }
    [[nodiscard]] const T *end() const noexcept { return data_ + size_; }
    [[nodiscard]] const T &operator[](std::size_t index) const noexcept { return data_[index]; }
    [[nodiscard]] const T &front() const noexcept { return data_[0]; }
    [[nodiscard]] const T &back() const noexcept { return data_[size_ - 1]; }

  private:
    const T *data_ = nullptr;
    std::size_t size_ = 0;
};

/// A text, or a text and its pair. Refers to the caller's memory for the time of the call.
class Input {
  public:
    Input(std::string_view text) noexcept : input_{str(text), {nullptr, 0}} {}
    Input(const char *text) noexcept : Input(std::string_view(text)) {}
    Input(const std::string &text) noexcept : Input(std::string_view(text)) {}
    /// No pair (std::nullopt) and an empty one are different things.
    Input(std::string_view text, std::optional<std::string_view> pair) noexcept
        : input_{str(text), pair ? str(*pair) : ernie_str{nullptr, 0}} {}

    [[nodiscard]] const ernie_input &raw() const noexcept { return input_; }

  private:
    /// An empty view may hold NULL, which as a pair would mean "none".
    static ernie_str str(std::string_view text) noexcept {
        return {text.data() == nullptr ? "" : text.data(), text.size()};
    }
    ernie_input input_;
};
static_assert(sizeof(Input) == sizeof(ernie_input), "a sequence of Input is one of ernie_input");

/// The texts of a call: one, a list in braces, or any container of strings, string views or Input. `{"a", "b"}` is two
/// texts, `{{"a", "b"}}` is one text with its pair. Refers to the strings, which must live to the end of the call.
class Inputs {
  public:
    Inputs(const Input &one) : list_{one} {}
    Inputs(const char *one) : list_{Input(one)} {}
    Inputs(const std::string &one) : list_{Input(one)} {}
    Inputs(std::string_view one) : list_{Input(one)} {}
    Inputs(std::initializer_list<Input> list) : list_(list) {}
    template <typename Container, typename = decltype(Input(*std::begin(std::declval<const Container &>())))>
    Inputs(const Container &texts) : list_(std::begin(texts), std::end(texts)) {}
    /// The strings of a temporary container would be gone before the call.
    template <typename Container, typename = decltype(Input(*std::begin(std::declval<const Container &>()))),
              typename = std::enable_if_t<!std::is_lvalue_reference_v<Container> &&
                                          !std::is_convertible_v<Container, std::string_view>>>
    Inputs(Container &&texts) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return list_.size(); }
    [[nodiscard]] const ernie_input *raw() const noexcept {
        return reinterpret_cast<const ernie_input *>(list_.data());
    }

  private:
    std::vector<Input> list_;
};

/// Ends the calls that it is given to, from another thread or a signal handler: they throw Code::Cancelled. Copies are
/// the same; once signalled it stays so.
class Cancel {
  public:
    Cancel() : handle_(ernie_cancel_new(), detail::Free()) {
        if (!handle_) {
            throw Error(Code::OutOfMemory, "out of memory");
        }
    }
    /// Calls that have it end before their next run of the graph (generation before the next word), those that wait for
    /// their turn and later ones at once.
    void signal() const noexcept { ernie_cancel_signal(handle_.get()); }
    [[nodiscard]] bool signalled() const noexcept { return ernie_cancel_is_signalled(handle_.get()) != 0; }
    [[nodiscard]] const ernie_cancel *raw() const noexcept { return handle_.get(); }

  private:
    std::shared_ptr<ernie_cancel> handle_;
};

using Item = ernie_item;

/// What was found: characters of the text, a token, a candidate; of a classification the label's name.
inline std::string_view text_of(const Item &item) noexcept { return detail::view(item.text); }
/// What kind of finding it is: a label's name, an entity's type, a name of the schema; empty where there is none.
inline std::string_view label_of(const Item &item) noexcept { return detail::view(item.label); }

/// Rows of floats.
class Matrix {
  public:
    explicit Matrix(ernie_matrix matrix) noexcept : matrix_(matrix) {}
    [[nodiscard]] std::size_t rows() const noexcept { return matrix_.n_rows; }
    [[nodiscard]] std::size_t columns() const noexcept { return matrix_.n_columns; }
    [[nodiscard]] const float *data() const noexcept { return matrix_.data; }
    [[nodiscard]] Span<float> row(std::size_t index) const noexcept {
        return {matrix_.data + index * matrix_.n_columns, matrix_.n_columns};
    }

  private:
    ernie_matrix matrix_;
};

/// The tokens of one text or pair.
struct Tokens {
    Span<std::int64_t> input_ids;
    Span<std::int64_t> token_type_ids;
    Span<std::int64_t> attention_mask;
    /// Bytes of the caller's text; 0..0 for added tokens.
    Span<ernie_span> offsets;
    /// ERNIE_SEQUENCE_...: 0 the text, 1 the pair, 255 an added token.
    Span<std::uint8_t> sequence;
    /// Tokens of text and pair that were cut because they were too long, and how many of them are the pair's.
    std::size_t n_truncated_tokens = 0;
    std::size_t n_truncated_pair_tokens = 0;
    /// The bytes that were cut; 0..0 = none.
    ernie_span truncated_text{};
    ernie_span truncated_pair{};
    /// Which input of the call this is of, and which window of it.
    std::size_t input = 0;
    std::size_t window = 0;
    std::size_t n_windows = 1;
};

/// Bytes of a text of the call: of the text or the pair (`sequence`: ERNIE_SEQUENCE_...).
struct Fragment {
    std::uint8_t sequence = ERNIE_SEQUENCE_NONE;
    ernie_span span{};
    /// The characters, given the input that they are of. Throws std::out_of_range where they cannot be of it.
    [[nodiscard]] std::string_view in(std::string_view text, std::string_view pair = {}) const {
        if (sequence == ERNIE_SEQUENCE_NONE) {
            return {};
        }
        const std::string_view source = sequence == ERNIE_SEQUENCE_TEXT ? text : pair;
        if (span.end > source.size()) {
            throw std::out_of_range("the fragment is of another text");
        }
        return source.substr(span.begin, span.end - span.begin);
    }
};

/// A named tensor in or out. `data` points to elements of `element_type` (ERNIE_TYPE_...).
struct TensorView {
    std::string name;
    std::uint32_t element_type = 0;
    std::vector<std::int64_t> shape;
    const void *data = nullptr;
    std::size_t n_bytes = 0;

    /// The elements as floats; throws when they are of another type.
    [[nodiscard]] Span<float> floats() const {
        if (element_type != ERNIE_TYPE_FLOAT32) {
            throw Error(Code::InvalidArgument, "tensor " + name + " does not hold floats");
        }
        return {static_cast<const float *>(data), n_bytes / sizeof(float)};
    }
};

/// How one vector is made of a text's token vectors.
enum class Pooling : std::uint32_t {
    Default = ERNIE_POOLING_DEFAULT,
    Pooler = ERNIE_POOLING_POOLER,
    Cls = ERNIE_POOLING_CLS,
    Mean = ERNIE_POOLING_MEAN,
    Max = ERNIE_POOLING_MAX
};
/// What is done to the length of vectors.
enum class Normalize : std::uint32_t { None = ERNIE_NORMALIZE_NONE, L2 = ERNIE_NORMALIZE_L2 };
/// What happens to texts that are too long.
enum class Truncation : std::uint32_t {
    Default = ERNIE_TRUNCATION_DEFAULT,
    Truncate = ERNIE_TRUNCATION_TRUNCATE,
    Error = ERNIE_TRUNCATION_ERROR,
    LongestFirst = ERNIE_TRUNCATION_LONGEST_FIRST,
    OnlyFirst = ERNIE_TRUNCATION_ONLY_FIRST,
    OnlySecond = ERNIE_TRUNCATION_ONLY_SECOND,
    /// In windows, put together by the task; Tokenizer::encode gives an entry for each.
    Windows = ERNIE_TRUNCATION_WINDOWS
};
/// Whether one bad input fails the call.
enum class Errors : std::uint32_t {
    Call = ERNIE_ERRORS_CALL,
    /// Result::error tells which is bad, and why; the others are answered.
    Input = ERNIE_ERRORS_INPUT
};
/// How a text to be tagged falls into words.
enum class Words : std::uint32_t {
    Auto = ERNIE_WORDS_AUTO,
    Separated = ERNIE_WORDS_SEPARATED,
    Found = ERNIE_WORDS_FOUND
};
/// What token classification gives.
enum class Tags : std::uint32_t { Entities = ERNIE_TAGS_ENTITIES, Words = ERNIE_TAGS_WORDS };
/// Which characters of a passage are an answer.
enum class AnswerSpan : std::uint32_t { Reference = ERNIE_ANSWER_REFERENCE, Tokens = ERNIE_ANSWER_TOKENS };
/// Whether a question may have no answer.
enum class NoAnswer : std::uint32_t { Never = ERNIE_NO_ANSWER_NEVER, Allowed = ERNIE_NO_ANSWER_ALLOWED };
/// In which language prompts of extraction are put together.
enum class SchemaLanguage : std::uint32_t { Chinese = ERNIE_SCHEMA_CHINESE, English = ERNIE_SCHEMA_ENGLISH };
/// How vectors are compared.
enum class Similarity : std::uint32_t { Cosine = ERNIE_SIMILARITY_COSINE, Dot = ERNIE_SIMILARITY_DOT };
/// The numbers of vectors.
enum class VectorType : std::uint32_t {
    Float32 = ERNIE_TYPE_FLOAT32,
    Float16 = ERNIE_TYPE_FLOAT16,
    BFloat16 = ERNIE_TYPE_BFLOAT16,
    /// A vector is its integers times its scale.
    Int8 = ERNIE_TYPE_INT8
};
/// What offsets count.
enum class Unit : std::uint32_t {
    Bytes = ERNIE_UNIT_BYTES,
    CodePoints = ERNIE_UNIT_CODE_POINTS,
    Utf16 = ERNIE_UNIT_UTF16
};
/// Which special tokens decoding writes.
enum class Decode : std::uint32_t {
    SkipSpecialTokens = ERNIE_DECODE_SKIP_SPECIAL_TOKENS,
    KeepSpecialTokens = ERNIE_DECODE_KEEP_SPECIAL_TOKENS,
    /// What a generator wrote: ends at the first [SEP].
    Generated = ERNIE_DECODE_GENERATED
};
/// What `[MASK]` and the like are when they stand in a text.
enum class SpecialTokens : std::uint32_t {
    Default = ERNIE_SPECIAL_TOKENS_DEFAULT,
    Recognize = ERNIE_SPECIAL_TOKENS_RECOGNIZE,
    Plain = ERNIE_SPECIAL_TOKENS_PLAIN
};
/// What a classifier's raw scores mean.
enum class Problem : std::uint32_t {
    Default = ERNIE_PROBLEM_DEFAULT,
    SingleLabel = ERNIE_PROBLEM_SINGLE_LABEL,
    MultiLabel = ERNIE_PROBLEM_MULTI_LABEL,
    Regression = ERNIE_PROBLEM_REGRESSION
};

/// How the tokens of a text that is written are chosen.
enum class Decoding : std::uint32_t {
    /// The best of several hypotheses, as the reference's script finds it.
    Beam = ERNIE_DECODING_BEAM,
    Greedy = ERNIE_DECODING_GREEDY,
    Sample = ERNIE_DECODING_SAMPLE
};
/// What of a batch a text's words see.
enum class SourcePadding : std::uint32_t {
    None = ERNIE_SOURCE_PADDING_NONE,
    /// As in batches of the reference: a text's words depend on the other texts.
    Reference = ERNIE_SOURCE_PADDING_REFERENCE
};
/// Why a text that was written ends.
enum class Finish : std::uint32_t {
    End = ERNIE_FINISH_END,
    Length = ERNIE_FINISH_LENGTH,
    StopString = ERNIE_FINISH_STOP_STRING,
    /// The function that takes texts returned false.
    Stopped = ERNIE_FINISH_STOPPED,
    Exhausted = ERNIE_FINISH_EXHAUSTED
};

/// A text that was written.
class Generated {
  public:
    [[nodiscard]] std::string_view text() const noexcept { return detail::view(generated_.text); }
    /// Without the token that ended it, with those of a stop string that are not part of the text.
    [[nodiscard]] Span<std::int64_t> token_ids() const noexcept { return {generated_.token_ids, generated_.n_tokens}; }
    /// Of beam search what hypotheses are compared by; else the logarithm of the text's probability.
    [[nodiscard]] float score() const noexcept { return generated_.score; }
    [[nodiscard]] float log_probability() const noexcept { return generated_.log_probability; }
    [[nodiscard]] Finish finish() const noexcept { return static_cast<Finish>(generated_.finish); }

  private:
    ernie_generated generated_;
};
static_assert(sizeof(Generated) == sizeof(ernie_generated) && std::is_standard_layout_v<Generated>,
              "a sequence of ernie_generated is one of Generated");

/// A piece of a text that is being written: whole characters, which follow those of the pieces before. `text` lives
/// during the call of the function that takes it.
struct Piece {
    std::size_t input = 0;
    std::size_t sequence = 0;
    std::string_view text;
};
/// Takes pieces in the thread of the call; false ends that sequence, with beam search all of its input. What it throws
/// ends the call, which throws it again.
using TextFunction = std::function<bool(const Piece &)>;

/// What one call wants; every setter returns the object, so that they can be chained. Copies share their texts.
class Call {
  public:
    Call &pooling(Pooling value) noexcept { return set(call_.pooling, static_cast<std::uint32_t>(value)); }
    Call &normalize(Normalize value) noexcept { return set(call_.normalize, static_cast<std::uint32_t>(value)); }
    Call &truncation(Truncation value) noexcept { return set(call_.truncation, static_cast<std::uint32_t>(value)); }
    Call &special_tokens(SpecialTokens value) noexcept {
        return set(call_.special_tokens, static_cast<std::uint32_t>(value));
    }
    Call &problem(Problem value) noexcept { return set(call_.problem, static_cast<std::uint32_t>(value)); }
    /// Bits ERNIE_OUTPUT_...
    Call &outputs(std::uint32_t value) noexcept { return set(call_.outputs, value); }
    Call &top_k(std::uint32_t value) noexcept { return set(call_.top_k, value); }
    Call &max_tokens(std::size_t value) noexcept {
        call_.max_tokens = value;
        return *this;
    }
    /// By how many tokens a window begins after the one before, with Truncation::Windows.
    Call &doc_stride(std::size_t value) noexcept {
        call_.doc_stride = value;
        return *this;
    }
    /// `truncate_to` of the 2021 tokenizer, for schemes ernie and ernie-tiny.
    Call &seed_truncate_to(std::size_t value) noexcept {
        call_.seed_truncate_to = value;
        return *this;
    }
    Call &errors(Errors value) noexcept { return set(call_.errors, static_cast<std::uint32_t>(value)); }
    /// Labels, entities and extracted findings count above this probability.
    Call &threshold(float value) noexcept {
        call_.threshold = value;
        return *this;
    }
    Call &words(Words value) noexcept { return set(call_.words, static_cast<std::uint32_t>(value)); }
    Call &tags(Tags value) noexcept { return set(call_.tags, static_cast<std::uint32_t>(value)); }
    Call &answer_span(AnswerSpan value) noexcept { return set(call_.answer_span, static_cast<std::uint32_t>(value)); }
    Call &no_answer(NoAnswer value) noexcept { return set(call_.no_answer, static_cast<std::uint32_t>(value)); }
    /// Answers at most.
    Call &n_best(std::size_t value) noexcept {
        call_.n_best = value;
        return *this;
    }
    Call &max_answer_tokens(std::size_t value) noexcept {
        call_.max_answer_tokens = value;
        return *this;
    }
    Call &max_question_tokens(std::size_t value) noexcept {
        call_.max_question_tokens = value;
        return *this;
    }
    /// The words that may stand for a `[MASK]`.
    Call &candidates(std::vector<std::string> values) {
        candidates_ = std::make_shared<const detail::Texts>(std::move(values));
        call_.candidates = candidates_->views.data();
        call_.n_candidates = candidates_->views.size();
        return *this;
    }
    /// Only tokens that are words of their own stand for a `[MASK]`.
    Call &whole_words() noexcept { return set(call_.whole_words, 1); }
    /// What is extracted, as JSON.
    Call &schema(std::string json) {
        schema_ = std::make_shared<const detail::Texts>(std::vector<std::string>{std::move(json)});
        call_.schema = schema_->views.front();
        return *this;
    }
    Call &schema_language(SchemaLanguage value) noexcept {
        return set(call_.schema_language, static_cast<std::uint32_t>(value));
    }
    /// What can end the call while it runs.
    Call &cancel(Cancel value) noexcept {
        cancel_ = std::move(value);
        call_.cancel = cancel_->raw();
        return *this;
    }
    [[nodiscard]] const ernie_call *raw() const noexcept { return &call_; }

  private:
    Call &set(std::uint32_t &field, std::uint32_t value) noexcept {
        field = value;
        return *this;
    }
    ernie_call call_ = detail::sized<ernie_call>();
    std::shared_ptr<const detail::Texts> candidates_;
    std::shared_ptr<const detail::Texts> schema_;
    std::optional<Cancel> cancel_;
};

/// How texts are written, in the style of Call. ernie_generation tells the ranges and defaults. Copies share their
/// lists.
class Generation {
  public:
    Generation &decoding(Decoding value) noexcept {
        return set(generation_.decoding, static_cast<std::uint32_t>(value));
    }
    /// Hypotheses of beam search.
    Generation &n_beams(std::uint32_t value) noexcept { return set(generation_.n_beams, value); }
    /// Texts wanted for each input: the best hypotheses, or so many samples.
    Generation &n_sequences(std::uint32_t value) noexcept { return set(generation_.n_sequences, value); }
    /// Beam search: above 0 longer texts are preferred, 0 compares by probability.
    Generation &length_penalty(float value) noexcept { return set(generation_.length_penalty, value); }
    Generation &temperature(float value) noexcept { return set(generation_.temperature, value); }
    Generation &top_p(float value) noexcept { return set(generation_.top_p, value); }
    Generation &top_k(std::uint32_t value) noexcept { return set(generation_.top_k, value); }
    /// Sampling: the same seed gives the same text; equal inputs of a call have equal samples.
    Generation &seed(std::uint64_t value) noexcept { return set(generation_.seed, value); }
    Generation &repetition_penalty(float value) noexcept { return set(generation_.repetition_penalty, value); }
    /// No sequence of so many tokens is written twice.
    Generation &no_repeat_ngram(std::uint32_t value) noexcept { return set(generation_.no_repeat_ngram, value); }
    Generation &source_padding(SourcePadding value) noexcept {
        return set(generation_.source_padding, static_cast<std::uint32_t>(value));
    }
    Generation &max_new_tokens(std::size_t value) noexcept { return set(generation_.max_new_tokens, value); }
    Generation &min_new_tokens(std::size_t value) noexcept { return set(generation_.min_new_tokens, value); }
    /// A text ends before any of these strings.
    Generation &stop(std::vector<std::string> values) {
        stop_ = std::make_shared<const detail::Texts>(std::move(values));
        generation_.stop = stop_->views.data();
        generation_.n_stop = stop_->views.size();
        return *this;
    }
    Generation &forbidden_tokens(std::vector<std::int64_t> ids) {
        forbidden_ = std::make_shared<const std::vector<std::int64_t>>(std::move(ids));
        generation_.forbidden_tokens = forbidden_->data();
        generation_.n_forbidden_tokens = forbidden_->size();
        return *this;
    }
    /// Every text begins with these; none may be forbidden or end a text.
    Generation &forced_tokens(std::vector<std::int64_t> ids) {
        forced_ = std::make_shared<const std::vector<std::int64_t>>(std::move(ids));
        generation_.forced_tokens = forced_->data();
        generation_.n_forced_tokens = forced_->size();
        return *this;
    }
    [[nodiscard]] const ernie_generation *raw() const noexcept { return &generation_; }

  private:
    template <typename T> Generation &set(T &field, T value) noexcept {
        field = value;
        return *this;
    }
    ernie_generation generation_ = ERNIE_GENERATION_INIT;
    std::shared_ptr<const detail::Texts> stop_;
    std::shared_ptr<const std::vector<std::int64_t>> forbidden_;
    std::shared_ptr<const std::vector<std::int64_t>> forced_;
};

/// How a model or tokenizer is opened. ernie_options_set lists the keys.
class Options {
  public:
    Options() : handle_(ernie_options_new()) {
        if (!handle_) {
            throw Error(Code::OutOfMemory, "out of memory");
        }
    }
    /// Throws Code::InvalidArgument for an unknown key or value.
    Options &set(const std::string &key, const std::string &value) & {
        detail::check(ernie_options_set(handle_.get(), detail::c_str(key), detail::c_str(value)));
        return *this;
    }
    Options &&set(const std::string &key, const std::string &value) && { return std::move(set(key, value)); }
    /// In the place of devices that were set before; several are set after it: set("device_id", "0,1").
    Options &provider(const std::string &name, std::int32_t device_id = 0) & {
        detail::check(ernie_options_set_provider(handle_.get(), detail::c_str(name), device_id));
        return *this;
    }
    Options &&provider(const std::string &name, std::int32_t device_id = 0) && {
        return std::move(provider(name, device_id));
    }
    /// Throws Error with Code::ProviderUnavailable where the provider cannot be used here; its message says what is
    /// missing.
    void check_provider() const { detail::check(ernie_provider_check(handle_.get())); }
    [[nodiscard]] const ernie_options *raw() const noexcept { return handle_.get(); }

  private:
    detail::Handle<ernie_options> handle_;
};

/// What a call gave. Immutable. Views of a temporary Result would dangle, so they are only given by named ones.
class Result {
  public:
    explicit Result(ernie_result *handle) noexcept : handle_(handle) {}

    /// The number of inputs of the call; of windows where Tokenizer::encode gave them, 1 of a ranking.
    [[nodiscard]] std::size_t size() const noexcept { return ernie_result_count(handle_.get()); }
    /// The number of encodings, which tokens(), fragment() and tensors() count by: more than inputs with windows.
    [[nodiscard]] std::size_t encodings() const noexcept { return ernie_result_encoding_count(handle_.get()); }

    /// What is wrong with input `index` (of rank: candidate `index`) of a call with Errors::Input; nothing where it was
    /// answered.
    [[nodiscard]] std::optional<Error> error(std::size_t index) const {
        std::int32_t code = ERNIE_OK;
        ernie_str message{};
        detail::check(ernie_result_error(handle_.get(), index, &code, &message));
        if (code == ERNIE_OK) {
            return std::nullopt;
        }
        return Error(static_cast<Code>(code), std::string(detail::view(message)));
    }

    /// Findings of input `index`, best first; entities and extracted ones in the order of the text.
    [[nodiscard]] Span<Item> items(std::size_t index) const & {
        const ernie_item *items = nullptr;
        std::size_t n_items = 0;
        detail::check(ernie_result_items(handle_.get(), index, &items, &n_items));
        return {items, n_items};
    }
    Span<Item> items(std::size_t) const && = delete;

    /// The texts that Model::generate wrote for input `index`, best first; samples in the order of their numbers.
    [[nodiscard]] Span<Generated> generated(std::size_t index) const & {
        const ernie_generated *generated = nullptr;
        std::size_t n_generated = 0;
        detail::check(ernie_result_generated(handle_.get(), index, &generated, &n_generated));
        return {reinterpret_cast<const Generated *>(generated), n_generated};
    }
    Span<Generated> generated(std::size_t) const && = delete;

    /// A row for each input: vectors of encode, numbers of infer; a row for each candidate of rank.
    [[nodiscard]] Matrix matrix() const & {
        ernie_matrix matrix{};
        detail::check(ernie_result_matrix(handle_.get(), &matrix));
        return Matrix(matrix);
    }
    Matrix matrix() const && = delete;

    /// Vectors of the tokens of input `index`, of a token classifier the logits of its words; the call must want
    /// ERNIE_OUTPUT_TOKENS.
    [[nodiscard]] Matrix token_matrix(std::size_t index) const & {
        ernie_matrix matrix{};
        detail::check(ernie_result_token_matrix(handle_.get(), index, &matrix));
        return Matrix(matrix);
    }
    Matrix token_matrix(std::size_t) const && = delete;

    /// The tokens of input `index`.
    [[nodiscard]] Tokens tokens(std::size_t index) const & {
        auto raw = detail::sized<ernie_tokens>();
        detail::check(ernie_result_tokens(handle_.get(), index, &raw));
        const std::size_t n = raw.n_tokens;
        return {{raw.input_ids, n},
                {raw.token_type_ids, n},
                {raw.attention_mask, n},
                {raw.offsets, n},
                {raw.sequence, n},
                raw.n_truncated_tokens,
                raw.n_truncated_pair_tokens,
                raw.truncated_text,
                raw.truncated_pair,
                raw.input,
                raw.window,
                raw.n_windows};
    }
    Tokens tokens(std::size_t) const && = delete;

    /// The fragment of a text that tokens `first` up to, not including, `end` of entry `index` cover.
    [[nodiscard]] Fragment fragment(std::size_t index, std::size_t first, std::size_t end) const {
        Fragment fragment;
        detail::check(ernie_result_fragment(handle_.get(), index, first, end, &fragment.sequence, &fragment.span));
        return fragment;
    }

    /// Tensors of input `index` (ERNIE_OUTPUT_RAW), or of infer_tensors with index 0.
    [[nodiscard]] std::vector<TensorView> tensors(std::size_t index = 0) const & {
        std::vector<TensorView> views(ernie_result_tensor_count(handle_.get(), index));
        for (std::size_t k = 0; k < views.size(); ++k) {
            ernie_tensor raw{};
            detail::check(ernie_result_tensor(handle_.get(), index, k, &raw));
            views[k] = {raw.name, raw.element_type, {raw.shape, raw.shape + raw.n_dims}, raw.data, raw.n_bytes};
        }
        return views;
    }
    std::vector<TensorView> tensors(std::size_t = 0) const && = delete;

    /// The text of entry `index`.
    [[nodiscard]] std::string_view text(std::size_t index = 0) const & {
        ernie_str text{};
        detail::check(ernie_result_text(handle_.get(), index, &text));
        return detail::view(text);
    }
    std::string_view text(std::size_t = 0) const && = delete;

    [[nodiscard]] const ernie_result *raw() const noexcept { return handle_.get(); }

  private:
    detail::Handle<ernie_result> handle_;
};

/// Spans of `text` counted in another unit. Throws Code::InvalidArgument for a span beyond the text or inside a
/// character.
inline std::vector<ernie_span> convert_spans(std::string_view text, Unit from, Unit to, Span<ernie_span> spans) {
    std::vector<ernie_span> converted(spans.size());
    detail::check(ernie_spans_convert({text.data(), text.size()}, static_cast<std::uint32_t>(from),
                                      static_cast<std::uint32_t>(to), spans.data(), spans.size(), converted.data()));
    return converted;
}

/// Turns texts into token ids and back. Needs no ONNX Runtime.
class Tokenizer {
  public:
    explicit Tokenizer(const std::string &dir, const Options &options = Options()) {
        ernie_tokenizer *raw = nullptr;
        detail::check(ernie_tokenizer_open(detail::c_str(dir), options.raw(), &raw));
        handle_.reset(raw);
    }
    explicit Tokenizer(ernie_tokenizer *handle) noexcept : handle_(handle) {}

    [[nodiscard]] std::size_t vocab_size() const noexcept { return ernie_tokenizer_vocab_size(handle_.get()); }
    [[nodiscard]] const ernie_tokenizer *raw() const noexcept { return handle_.get(); }

    [[nodiscard]] Result encode(const Inputs &inputs, const Call &call = Call()) const {
        ernie_result *raw = nullptr;
        detail::check(ernie_tokenizer_encode(handle_.get(), inputs.raw(), inputs.size(), call.raw(), &raw));
        return Result(raw);
    }

    [[nodiscard]] std::string decode(Span<std::int64_t> ids, Decode special_tokens = Decode::SkipSpecialTokens) const {
        ernie_result *raw = nullptr;
        detail::check(ernie_tokenizer_decode(handle_.get(), ids.data(), ids.size(),
                                             static_cast<std::uint32_t>(special_tokens), &raw));
        const Result result(raw);
        return std::string(result.text());
    }
    [[nodiscard]] std::string decode(std::initializer_list<std::int64_t> ids,
                                     Decode special_tokens = Decode::SkipSpecialTokens) const {
        return decode(Span<std::int64_t>(ids.begin(), ids.size()), special_tokens);
    }

    /// The tokens that ids stand for, as the vocabulary writes them.
    [[nodiscard]] std::vector<std::string> tokens(Span<std::int64_t> ids) const {
        ernie_result *raw = nullptr;
        detail::check(ernie_tokenizer_tokens(handle_.get(), ids.data(), ids.size(), &raw));
        const Result result(raw);
        std::vector<std::string> tokens;
        for (std::size_t i = 0; i < result.size(); ++i) {
            tokens.emplace_back(result.text(i));
        }
        return tokens;
    }

    /// The scheme, the limit, the special tokens. `scheme` lives as long as the library.
    [[nodiscard]] ernie_tokenizer_info info() const {
        auto info = detail::sized<ernie_tokenizer_info>();
        detail::check(ernie_tokenizer_info_get(handle_.get(), &info));
        return info;
    }

    /// The id of a token, such as "[MASK]"; nothing where the vocabulary has none.
    [[nodiscard]] std::optional<std::int64_t> token_id(std::string_view token) const {
        std::int64_t id = 0;
        detail::check(ernie_tokenizer_token_id(handle_.get(), {token.data(), token.size()}, &id));
        return id < 0 ? std::nullopt : std::optional<std::int64_t>(id);
    }

  private:
    detail::Handle<ernie_tokenizer> handle_;
};

/// Takes the end of an asynchronous call: a future that is ready, whose get() gives the result or throws what the call
/// would have thrown. What the function itself throws ends the program, as in a std::thread.
using DoneFunction = std::function<void(std::future<Result>)>;

/// A model, ready to run. Copies share it.
class Model {
  public:
    /// Opens a directory, or an .onnx file in one.
    explicit Model(const std::string &path, const Options &options = Options()) {
        ernie_model *raw = nullptr;
        detail::check(ernie_model_open(detail::c_str(path), options.raw(), &raw));
        handle_.reset(raw);
    }
    Model(const Model &other) noexcept : handle_(ernie_model_retain(other.handle_.get())) {}
    Model &operator=(const Model &other) noexcept {
        handle_.reset(ernie_model_retain(other.handle_.get()));
        return *this;
    }
    Model(Model &&) noexcept = default;
    Model &operator=(Model &&) noexcept = default;
    ~Model() = default;

    /// What the model is; the strings live as long as it.
    [[nodiscard]] ernie_model_info info() const & {
        auto info = detail::sized<ernie_model_info>();
        detail::check(ernie_model_info_get(handle_.get(), &info));
        return info;
    }
    ernie_model_info info() const && = delete;
    /// The name of a label, which lives as long as the model; nothing where there is none.
    [[nodiscard]] std::optional<std::string_view> label(std::size_t id) const & noexcept {
        const char *name = ernie_model_label(handle_.get(), id);
        return name == nullptr ? std::nullopt : std::optional<std::string_view>(name);
    }
    std::optional<std::string_view> label(std::size_t) const && = delete;
    [[nodiscard]] ernie_model_statistics stats() const {
        auto statistics = detail::sized<ernie_model_statistics>();
        detail::check(ernie_model_stats(handle_.get(), &statistics));
        return statistics;
    }
    [[nodiscard]] Tokenizer tokenizer() const {
        ernie_tokenizer *raw = nullptr;
        detail::check(ernie_model_tokenizer(handle_.get(), &raw));
        return Tokenizer(raw);
    }

    /// Vectors of texts: matrix() has a row for each.
    [[nodiscard]] Result encode(const Inputs &inputs, const Call &call = Call()) const {
        return run(ernie_encode, inputs, call);
    }
    /// The vector of one text.
    [[nodiscard]] std::vector<float> encode_one(const Input &input, const Call &call = Call()) const {
        const Result result = encode(input, call);
        const Span<float> row = result.matrix().row(0);
        return {row.begin(), row.end()};
    }
    /// Vectors into the caller's memory, `[inputs, hidden_size]`; returns hidden_size.
    std::size_t encode_into(const Inputs &inputs, float *vectors, std::size_t n_floats,
                            const Call &call = Call()) const {
        std::size_t hidden_size = 0;
        detail::check(
            ernie_encode_into(handle_.get(), inputs.raw(), inputs.size(), call.raw(), vectors, n_floats, &hidden_size));
        return hidden_size;
    }
    /// Vectors of any type into the caller's memory; `scales` has room for a float for each input, or is null. Returns
    /// hidden_size.
    std::size_t encode_as(const Inputs &inputs, VectorType type, void *vectors, std::size_t n_bytes,
                          float *scales = nullptr, const Call &call = Call()) const {
        std::size_t hidden_size = 0;
        detail::check(ernie_encode_as(handle_.get(), inputs.raw(), inputs.size(), call.raw(),
                                      static_cast<std::uint32_t>(type), vectors, n_bytes, scales, &hidden_size));
        return hidden_size;
    }
    /// How well each candidate fits the query: items(0) best first (`id` is the candidate's index), matrix() the scores
    /// in the caller's order.
    [[nodiscard]] Result rank(std::string_view query, const std::vector<std::string> &candidates,
                              const Call &call = Call()) const {
        std::vector<ernie_str> views;
        views.reserve(candidates.size());
        for (const std::string &candidate : candidates) {
            views.push_back({candidate.data(), candidate.size()});
        }
        ernie_result *raw = nullptr;
        detail::check(
            ernie_rank(handle_.get(), {query.data(), query.size()}, views.data(), views.size(), call.raw(), &raw));
        return Result(raw);
    }
    /// What the model's task gives: items(i). ernie_infer says what.
    [[nodiscard]] Result infer(const Inputs &inputs, const Call &call = Call()) const {
        return run(ernie_infer, inputs, call);
    }
    /// infer() in a thread of the library: the future gets what it gives or throws. Texts are copied; the model and the
    /// Cancel of the call may go meanwhile. A call that is refused (Code::Busy) throws here. Wait for the end of calls
    /// before main ends.
    [[nodiscard]] std::future<Result> infer_async(const Inputs &inputs, const Call &call = Call()) const {
        return start(ernie_infer_async, inputs, call);
    }
    /// The same; `done` is called once, by that thread, unless this throws.
    void infer_async(const Inputs &inputs, const Call &call, DoneFunction done) const {
        start(ernie_infer_async, inputs, call, std::move(done));
    }
    /// encode() in a thread of the library, as infer_async().
    [[nodiscard]] std::future<Result> encode_async(const Inputs &inputs, const Call &call = Call()) const {
        return start(ernie_encode_async, inputs, call);
    }
    /// The same; `done` is called once, by that thread, unless this throws.
    void encode_async(const Inputs &inputs, const Call &call, DoneFunction done) const {
        start(ernie_encode_async, inputs, call, std::move(done));
    }
    /// Texts that the model writes for sources: generated(i).
    [[nodiscard]] Result generate(const Inputs &inputs, const Call &call = Call(),
                                  const Generation &generation = Generation()) const {
        ernie_result *raw = nullptr;
        detail::check(ernie_generate(handle_.get(), inputs.raw(), inputs.size(), call.raw(), generation.raw(), &raw));
        return Result(raw);
    }
    /// The same; `on_text` takes pieces of the texts as soon as they are certain.
    Result generate(const Inputs &inputs, const Call &call, const Generation &generation,
                    const TextFunction &on_text) const {
        Taker taker(on_text, call);
        ernie_generation streaming = *generation.raw();
        if (on_text) {
            streaming.on_text = take;
            streaming.user = &taker;
        }
        ernie_result *raw = nullptr;
        ernie_status *status =
            ernie_generate(handle_.get(), inputs.raw(), inputs.size(), taker.call.raw(), &streaming, &raw);
        Result result(raw);
        if (taker.thrown != nullptr) {
            ernie_status_free(status);
            std::rethrow_exception(taker.thrown);
        }
        detail::check(status);
        return result;
    }
    /// The graph on the caller's own tensors.
    [[nodiscard]] Result infer_tensors(const std::vector<TensorView> &tensors) const {
        std::vector<ernie_tensor> raw;
        raw.reserve(tensors.size());
        for (const TensorView &tensor : tensors) {
            raw.push_back({tensor.name.c_str(), tensor.element_type, static_cast<std::uint32_t>(tensor.shape.size()),
                           tensor.shape.data(), tensor.data, tensor.n_bytes});
        }
        ernie_result *result = nullptr;
        detail::check(ernie_infer_tensors(handle_.get(), raw.data(), raw.size(), &result));
        return Result(result);
    }

    [[nodiscard]] const ernie_model *raw() const noexcept { return handle_.get(); }

  private:
    /// Carries what a TextFunction throws around the C library, which an exception must not cross.
    struct Taker {
        Taker(const TextFunction &on_text, const Call &wanted) : function(on_text), call(wanted) {
            if (call.raw()->cancel == nullptr) {
                call.cancel(abandoned);
            }
        }
        const TextFunction &function;
        std::exception_ptr thrown;
        /// Ends the call after an exception; where the caller can cancel it, each text ends at its next piece instead.
        Cancel abandoned;
        Call call;
    };
    static std::int32_t take(void *user, std::size_t input, std::size_t sequence, const char *text, std::size_t len) {
        Taker &taker = *static_cast<Taker *>(user);
        if (taker.thrown != nullptr) {
            return 0;
        }
        try {
            return taker.function({input, sequence, {text, len}}) ? 1 : 0;
        } catch (...) {
            taker.thrown = std::current_exception();
            taker.abandoned.signal();
            return 0;
        }
    }
    template <typename Function>
    [[nodiscard]] Result run(Function call_c, const Inputs &inputs, const Call &call) const {
        ernie_result *raw = nullptr;
        detail::check(call_c(handle_.get(), inputs.raw(), inputs.size(), call.raw(), &raw));
        return Result(raw);
    }

    template <typename Function>
    [[nodiscard]] std::future<Result> start(Function call_c, const Inputs &inputs, const Call &call) const {
        auto promise = std::make_unique<std::promise<Result>>();
        std::future<Result> future = promise->get_future();
        detail::check(call_c(handle_.get(), inputs.raw(), inputs.size(), call.raw(), fulfil, promise.get()));
        // It is the call's now, and may be gone.
        static_cast<void>(promise.release());
        return future;
    }
    template <typename Function>
    void start(Function call_c, const Inputs &inputs, const Call &call, DoneFunction &&done) const {
        if (!done) {
            throw Error(Code::InvalidArgument, "done is empty");
        }
        auto owned = std::make_unique<DoneFunction>(std::move(done));
        detail::check(call_c(handle_.get(), inputs.raw(), inputs.size(), call.raw(), tell, owned.get()));
        static_cast<void>(owned.release());
    }
    static void settle(std::promise<Result> &promise, ernie_status *status, ernie_result *result) {
        try {
            Result owned(result);
            detail::check(status);
            promise.set_value(std::move(owned));
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    }
    static void fulfil(void *user, ernie_status *status, ernie_result *result) noexcept {
        const std::unique_ptr<std::promise<Result>> promise(static_cast<std::promise<Result> *>(user));
        settle(*promise, status, result);
    }
    static void tell(void *user, ernie_status *status, ernie_result *result) noexcept {
        const std::unique_ptr<DoneFunction> done(static_cast<DoneFunction *>(user));
        std::promise<Result> promise;
        settle(promise, status, result);
        (*done)(promise.get_future());
    }

    detail::Handle<ernie_model> handle_;
};

/// How alike two vectors are.
inline float similarity(Similarity similarity, Span<float> a, Span<float> b) {
    if (a.size() != b.size()) {
        throw Error(Code::InvalidArgument, "vectors of different widths");
    }
    float score = 0.0F;
    detail::check(ernie_similarity(static_cast<std::uint32_t>(similarity), a.data(), 1, b.data(), 1, a.size(), &score));
    return score;
}

/// Vectors that were kept, `n_candidates` one after another, in order of how alike they are to that of a query, as
/// Model::rank gives it. `top_k` 0 = all.
[[nodiscard]] inline Result rank_vectors(Span<float> query, Span<float> candidates, std::size_t n_candidates,
                                         Similarity similarity = Similarity::Cosine, std::size_t top_k = 0) {
    if (candidates.size() != n_candidates * query.size()) {
        throw Error(Code::InvalidArgument, "candidates of another width than the query");
    }
    ernie_result *raw = nullptr;
    detail::check(ernie_rank_vectors(query.data(), candidates.data(), n_candidates, query.size(),
                                     static_cast<std::uint32_t>(similarity), top_k, &raw));
    return Result(raw);
}

/// The version of the library, as ERNIE_VERSION_NUMBER is that of the header.
inline std::uint32_t version() noexcept { return ernie_version(); }
/// How the library was built.
inline std::string_view build_info() noexcept { return ernie_build_info(); }
/// The ONNX Runtime in use; empty before one was loaded.
inline std::string_view runtime_info() noexcept { return ernie_runtime_info(); }
/// Loads ONNX Runtime from a library or directory; optional.
inline void load_runtime(const std::string &path) { detail::check(ernie_runtime_load(detail::c_str(path))); }

/// Receives log messages: level (ERNIE_LOG_...), target, message. Called from any thread, also from several at once.
using LogFunction = std::function<void(std::int32_t, std::string_view, std::string_view)>;

/// Sends messages up to `level` to `function`; an empty one sends none. Throws Code::InvalidArgument for an unknown
/// level. The function lives to the end of the program: calls of it may be under way in other threads at any time.
inline void set_log_callback(LogFunction function, std::int32_t level) {
    static const auto call = [](void *user, std::int32_t at, const char *target, const char *message) {
        try {
            (*static_cast<LogFunction *>(user))(at, target, message);
        } catch (...) {
            // An exception must not cross the C library; a log message is not worth the program.
        }
    };
    // Kept reachable, never freed: messages may come while the program's own statics are destroyed.
    static std::mutex &lock = *new std::mutex();
    static std::vector<std::unique_ptr<LogFunction>> &kept = *new std::vector<std::unique_ptr<LogFunction>>();
    if (!function) {
        detail::check(ernie_set_log_callback(nullptr, nullptr, level));
        return;
    }
    auto owned = std::make_unique<LogFunction>(std::move(function));
    const std::lock_guard<std::mutex> guard(lock);
    kept.reserve(kept.size() + 1);
    detail::check(ernie_set_log_callback(call, owned.get(), level));
    kept.push_back(std::move(owned));
}

} // namespace ernie

#endif // ERNIE_HPP
