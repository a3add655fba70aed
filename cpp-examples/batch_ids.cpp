// Runs batches of token ids from a file, says what the model gives for them and how long that took.
//
//   batch_ids MODEL_DIR FILE [--repeat N] [--warmup N] [--threads N]
//
// FILE has the layout of paddle-ernie's inference demo of 2021: a batch a line, its fields separated by ';',
//
//   src_ids;pos_ids;sent_ids;mask        each of them   sizes:values   as in   2 3:1 152 2 1 137 2
//
// where the sizes are `rows tokens` or `rows tokens 1`, and the mask is 1 for tokens and 0 for padding (1.0 and 0.0
// will do). A line that cannot be read or run is named on standard error, the others are answered, and the status is 1.
//
// Every line is run --repeat times (1), after --warmup times that are not measured (1, or 0 where nothing is
// repeated), by --threads threads (1) that share the model. Runs of one model follow one another: more threads show how
// long callers wait, not how much more they get done. A latency is that of a call for one line, waiting included;
// percentile p is the smallest latency that p % of the calls did not exceed. Throughput is by the clock on the wall.
#include <ernie.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <future>
#include <iterator>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Shape = std::vector<std::int64_t>;

constexpr const char *field_names[] = {"src_ids", "pos_ids", "sent_ids", "mask"};
constexpr std::size_t n_fields = std::size(field_names);
constexpr std::size_t n_shown = 8;

template <typename T> struct Field {
    Shape shape;
    std::vector<T> values;
};

/// A line of the file.
struct Batch {
    std::size_t line_number = 0;
    Field<std::int64_t> src_ids, pos_ids, sent_ids;
    Field<float> mask;

    [[nodiscard]] std::size_t n_rows() const { return static_cast<std::size_t>(mask.shape[0]); }
    [[nodiscard]] std::size_t n_tokens() const {
        return mask.values.size() - static_cast<std::size_t>(std::count(mask.values.begin(), mask.values.end(), 0.0F));
    }
    /// What a run takes, which refers to the batch.
    [[nodiscard]] std::vector<ernie::TensorView> tensors() const {
        return {view(0, src_ids, ERNIE_TYPE_INT64), view(1, pos_ids, ERNIE_TYPE_INT64),
                view(2, sent_ids, ERNIE_TYPE_INT64), view(3, mask, ERNIE_TYPE_FLOAT32)};
    }

  private:
    template <typename T>
    static ernie::TensorView view(std::size_t index, const Field<T> &field, std::uint32_t element_type) {
        return {field_names[index], element_type, field.shape, field.values.data(), field.values.size() * sizeof(T)};
    }
};

std::string text_of(const Shape &shape) {
    std::string text = "[";
    for (const std::int64_t size : shape) {
        text += (text.size() > 1 ? ", " : "") + std::to_string(size);
    }
    return text + "]";
}

/// The beginning of a word, with what a terminal would not show (a byte order mark, say) as numbers.
std::string quoted(std::string_view word) {
    std::string text = "\"";
    for (const char c : word.substr(0, 24)) {
        const auto byte = static_cast<unsigned char>(c);
        char hex[5];
        std::snprintf(hex, sizeof hex, "\\x%02X", static_cast<unsigned>(byte));
        text += byte >= 0x20 && byte < 0x7F ? std::string(1, c) : hex;
    }
    return text + (word.size() > 24 ? "...\"" : "\"");
}

/// Takes the next word off `text`; empty when there is none.
std::string_view next_word(std::string_view &text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(" \t"));
    text.remove_prefix(word.size());
    return word;
}

bool parse(std::string_view word, std::int64_t &number) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc() && end == word.data() + word.size();
}

/// A number of a mask. Any other would be a token to the library, also the -10000 that some programs mask with.
bool parse(std::string_view word, float &number) {
    const std::string text(word);
    char *end = nullptr;
    number = std::strtof(text.c_str(), &end);
    return end == text.c_str() + text.size() && (number == 0.0F || number == 1.0F);
}

template <typename T> std::vector<T> read_numbers(std::string_view text, const char *what) {
    const char *wanted = std::is_same_v<T, float> ? "0 or 1" : "a 64-bit integer";
    std::vector<T> numbers;
    for (std::string_view word = next_word(text); !word.empty(); word = next_word(text)) {
        T number{};
        if (!parse(word, number)) {
            throw std::runtime_error(std::string(what) + ' ' + std::to_string(numbers.size() + 1) + " is " +
                                     quoted(word) + ", not " + wanted);
        }
        numbers.push_back(number);
    }
    return numbers;
}

/// The number of elements; throws for anything but rows of tokens.
std::size_t count_elements(const Shape &shape) {
    if (shape.size() != 2 && !(shape.size() == 3 && shape[2] == 1)) {
        throw std::runtime_error("shape " + text_of(shape) + " is neither [rows, tokens] nor [rows, tokens, 1]");
    }
    if (shape[0] < 1 || shape[1] < 1) {
        throw std::runtime_error("shape " + text_of(shape) + " has no elements");
    }
    if (shape[0] > std::numeric_limits<std::int64_t>::max() / shape[1]) {
        throw std::runtime_error("shape " + text_of(shape) + " overflows");
    }
    return static_cast<std::size_t>(shape[0] * shape[1]);
}

template <typename T> Field<T> parse_field(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        throw std::runtime_error("no ':' between sizes and values");
    }
    Field<T> field{read_numbers<std::int64_t>(text.substr(0, colon), "size"), {}};
    const std::size_t n_elements = count_elements(field.shape);
    field.values = read_numbers<T>(text.substr(colon + 1), "value");
    if (field.values.size() != n_elements) {
        throw std::runtime_error("shape " + text_of(field.shape) + " is " + std::to_string(n_elements) +
                                 " values, there are " + std::to_string(field.values.size()));
    }
    return field;
}

/// Field `index` of a line. All have the rows and tokens of the first, whose shape is `first` (NULL for itself).
template <typename T>
Field<T> read_field(const std::vector<std::string_view> &fields, std::size_t index, const Shape *first) {
    try {
        Field<T> field = parse_field<T>(fields[index]);
        if (first != nullptr && !std::equal(first->begin(), first->begin() + 2, field.shape.begin())) {
            throw std::runtime_error("shape " + text_of(field.shape) + " is not that of " + field_names[0] + ", " +
                                     text_of(*first));
        }
        return field;
    } catch (const std::runtime_error &error) {
        throw std::runtime_error("field " + std::to_string(index + 1) + " (" + field_names[index] +
                                 "): " + error.what());
    }
}

Batch read_batch(std::string_view line, std::size_t line_number) {
    std::vector<std::string_view> fields;
    for (std::size_t begin = 0; begin <= line.size();) {
        const std::size_t end = std::min(line.find(';', begin), line.size());
        fields.push_back(line.substr(begin, end - begin));
        begin = end + 1;
    }
    // After the ';' that may end a line stands nothing.
    if (fields.size() > 1 && fields.back().find_first_not_of(" \t") == std::string_view::npos) {
        fields.pop_back();
    }
    if (fields.size() != n_fields) {
        throw std::runtime_error("the number of fields is " + std::to_string(fields.size()) +
                                 ", not 4: src_ids;pos_ids;sent_ids;mask");
    }
    Batch batch;
    batch.line_number = line_number;
    batch.src_ids = read_field<std::int64_t>(fields, 0, nullptr);
    batch.pos_ids = read_field<std::int64_t>(fields, 1, &batch.src_ids.shape);
    batch.sent_ids = read_field<std::int64_t>(fields, 2, &batch.src_ids.shape);
    batch.mask = read_field<float>(fields, 3, &batch.src_ids.shape);
    return batch;
}

void report(std::size_t line_number, const std::string &reason) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: line %zu: %s\n", line_number, reason.c_str());
}

/// The batches of a file, but for empty lines and those that are reported.
std::vector<Batch> read_file(const std::string &path, std::size_t &n_failed) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw std::runtime_error("cannot open " + path);
    }
    std::vector<Batch> batches;
    std::string line;
    for (std::size_t line_number = 1; std::getline(file, line); ++line_number) {
        if (!line.empty() && line.back() == '\r') {
            line.pop_back();
        }
        if (line.find_first_not_of(" \t") == std::string::npos) {
            continue;
        }
        try {
            batches.push_back(read_batch(line, line_number));
        } catch (const std::runtime_error &error) {
            report(line_number, error.what());
            ++n_failed;
        }
    }
    if (file.bad()) {
        throw std::runtime_error("cannot read " + path);
    }
    return batches;
}

/// A tensor's name and shape, then the first values of each row.
std::string describe(const ernie::TensorView &tensor) {
    std::string text = tensor.name + ' ' + text_of(tensor.shape) + '\n';
    if (tensor.element_type != ERNIE_TYPE_FLOAT32) {
        return text + "  (no floats)\n";
    }
    const ernie::Span<float> values = tensor.floats();
    const std::size_t n_rows = tensor.shape.empty() ? 1 : static_cast<std::size_t>(tensor.shape[0]);
    const std::size_t width = n_rows == 0 ? 0 : values.size() / n_rows;
    for (std::size_t row = 0; row < n_rows; ++row) {
        text += ' ';
        for (std::size_t column = 0; column < std::min(width, n_shown); ++column) {
            char number[32];
            std::snprintf(number, sizeof number, " %g", static_cast<double>(values[row * width + column]));
            text += number;
        }
        text += width > n_shown ? " ...\n" : "\n";
    }
    return text;
}

/// What was measured: the runs that succeeded.
struct Tally {
    std::vector<double> latencies_ms;
    std::size_t n_rows = 0;
    std::size_t n_tokens = 0;
    double wall_s = 0.0;

    void add(const Tally &other) {
        latencies_ms.insert(latencies_ms.end(), other.latencies_ms.begin(), other.latencies_ms.end());
        n_rows += other.n_rows;
        n_tokens += other.n_tokens;
    }
};

/// Runs batches and remembers for each its answer, or why there is none.
class Runner {
  public:
    Runner(const ernie::Model &model, const std::vector<Batch> &batches)
        : model_(model), batches_(batches), outcomes_(batches.size()) {}

    Tally run(std::size_t n_passes, std::size_t n_threads) {
        next_run_ = 0;
        const std::size_t n_runs = n_passes * batches_.size();
        const Clock::time_point start = Clock::now();
        std::vector<std::future<Tally>> workers;
        for (std::size_t i = 0; i < n_threads; ++i) {
            workers.push_back(std::async(std::launch::async, [this, n_runs] { return work(n_runs); }));
        }
        Tally all;
        for (std::future<Tally> &worker : workers) {
            all.add(worker.get());
        }
        all.wall_s = std::chrono::duration<double>(Clock::now() - start).count();
        return all;
    }

    /// Prints the answers in the order of the file; returns how many batches failed.
    [[nodiscard]] std::size_t print() const {
        std::size_t n_failed = 0;
        for (std::size_t i = 0; i < batches_.size(); ++i) {
            if (outcomes_[i].error.empty()) {
                std::printf("line %zu: %s", batches_[i].line_number, outcomes_[i].answer.c_str());
            } else {
                report(batches_[i].line_number, outcomes_[i].error);
                ++n_failed;
            }
        }
        return n_failed;
    }

  private:
    struct Outcome {
        std::string answer;
        std::string error;
    };

    Tally work(std::size_t n_runs) {
        Tally tally;
        for (std::size_t run = next_run_++; run < n_runs; run = next_run_++) {
            const std::size_t index = run % batches_.size();
            // What failed once is not tried again, so that only runs are measured.
            if (is_known(index, &Outcome::error)) {
                continue;
            }
            try {
                const std::vector<ernie::TensorView> tensors = batches_[index].tensors();
                const Clock::time_point start = Clock::now();
                const ernie::Result result = model_.infer_tensors(tensors);
                const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
                if (!is_known(index, &Outcome::answer)) {
                    remember(index, &Outcome::answer, describe(result.tensors().at(0)));
                }
                tally.latencies_ms.push_back(elapsed.count());
                tally.n_rows += batches_[index].n_rows();
                tally.n_tokens += batches_[index].n_tokens();
            } catch (const std::exception &error) {
                remember(index, &Outcome::error, error.what());
            }
        }
        return tally;
    }

    bool is_known(std::size_t index, std::string Outcome::*part) {
        const std::lock_guard<std::mutex> guard(lock_);
        return !(outcomes_[index].*part).empty();
    }
    void remember(std::size_t index, std::string Outcome::*part, const std::string &text) {
        const std::lock_guard<std::mutex> guard(lock_);
        outcomes_[index].*part = text;
    }

    const ernie::Model &model_;
    const std::vector<Batch> &batches_;
    std::atomic<std::size_t> next_run_{0};
    std::mutex lock_;
    std::vector<Outcome> outcomes_;
};

void print_latency(Tally tally, std::size_t n_warmups, std::size_t n_threads) {
    std::vector<double> &sorted = tally.latencies_ms;
    std::sort(sorted.begin(), sorted.end());
    const auto percentile = [&sorted](std::size_t p) { return sorted[(p * sorted.size() + 99) / 100 - 1]; };
    const double mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
    std::printf("latency in ms (runs: %zu, warm-up passes: %zu, threads: %zu): ", sorted.size(), n_warmups, n_threads);
    std::printf("mean %.3f, p50 %.3f, p90 %.3f, p99 %.3f, min %.3f, max %.3f\n", mean, percentile(50), percentile(90),
                percentile(99), sorted.front(), sorted.back());
    std::printf("throughput: %.1f rows/s, %.1f tokens/s\n", static_cast<double>(tally.n_rows) / tally.wall_s,
                static_cast<double>(tally.n_tokens) / tally.wall_s);
}

struct Arguments {
    std::string model_dir;
    std::string file;
    std::size_t n_repeats = 1;
    std::optional<std::size_t> n_warmups;
    std::size_t n_threads = 1;
};

std::optional<std::size_t> parse_count(const char *text, std::int64_t least, std::int64_t most) {
    std::int64_t number = 0;
    if (!parse(text, number) || number < least || number > most) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(number);
}

std::optional<Arguments> parse_arguments(int argc, char **argv) {
    if (argc < 3 || argc % 2 == 0) {
        return std::nullopt;
    }
    Arguments arguments;
    arguments.model_dir = argv[1];
    arguments.file = argv[2];
    for (int i = 3; i < argc; i += 2) {
        const std::string_view option = argv[i];
        const auto count =
            parse_count(argv[i + 1], option == "--warmup" ? 0 : 1, option == "--threads" ? 256 : 1000000);
        if (!count) {
            return std::nullopt;
        }
        if (option == "--repeat") {
            arguments.n_repeats = *count;
        } else if (option == "--warmup") {
            arguments.n_warmups = count;
        } else if (option == "--threads") {
            arguments.n_threads = *count;
        } else {
            return std::nullopt;
        }
    }
    return arguments;
}

/// Whether all lines were answered.
bool run(const Arguments &arguments) {
    const ernie::Model model(arguments.model_dir);
    std::size_t n_failed = 0;
    const std::vector<Batch> batches = read_file(arguments.file, n_failed);
    if (batches.empty()) {
        throw std::runtime_error("no batch in " + arguments.file);
    }
    Runner runner(model, batches);
    const std::size_t n_warmups = arguments.n_warmups.value_or(arguments.n_repeats > 1 ? 1 : 0);
    runner.run(n_warmups, arguments.n_threads);
    const Tally tally = runner.run(arguments.n_repeats, arguments.n_threads);
    n_failed += runner.print();
    if (!tally.latencies_ms.empty()) {
        print_latency(tally, n_warmups, arguments.n_threads);
    }
    return n_failed == 0;
}

} // namespace

int main(int argc, char **argv) {
    const std::optional<Arguments> arguments = parse_arguments(argc, argv);
    if (!arguments) {
        std::fprintf(stderr,
                     "usage: %s MODEL_DIR FILE [--repeat N] [--warmup N] [--threads N]\n"
                     "at most 1000000 repeats and warm-up passes and 256 threads; FILE has a batch a line:\n"
                     "src_ids;pos_ids;sent_ids;mask, each `rows tokens:values`\n",
                     argv[0]);
        return 2;
    }
    try {
        const bool all_answered = run(*arguments);
        return all_answered && std::fflush(stdout) == 0 ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
