// A C++17 program that uses every class of ernie.hpp. Arguments: the demo model, the fixtures.
#include <ernie.hpp>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

static_assert(std::is_nothrow_move_constructible_v<ernie::Model> && std::is_nothrow_move_assignable_v<ernie::Model>);
static_assert(std::is_nothrow_move_constructible_v<ernie::Result> && !std::is_copy_constructible_v<ernie::Result>);
static_assert(std::is_nothrow_move_constructible_v<ernie::Tokenizer>);

// Views of temporaries would dangle.
template <typename T, typename = void> constexpr bool gives_matrix = false;
template <typename T> constexpr bool gives_matrix<T, std::void_t<decltype(std::declval<T>().matrix())>> = true;
template <typename T, typename = void> constexpr bool gives_label = false;
template <typename T> constexpr bool gives_label<T, std::void_t<decltype(std::declval<T>().label(0))>> = true;
static_assert(gives_matrix<const ernie::Result &> && !gives_matrix<ernie::Result>);
static_assert(gives_label<const ernie::Model &> && !gives_label<ernie::Model>);
template <typename T, typename = void> constexpr bool gives_generated = false;
template <typename T> constexpr bool gives_generated<T, std::void_t<decltype(std::declval<T>().generated(0))>> = true;
static_assert(gives_generated<const ernie::Result &> && !gives_generated<ernie::Result>);
static_assert(noexcept(std::declval<const ernie::Cancel &>().signal()) && std::is_copy_constructible_v<ernie::Cancel>);

std::size_t other_unit_version(); // other_unit.cpp

namespace {

int n_failed = 0;

void check(bool condition, const char *what, int line) {
    if (!condition) {
        ++n_failed;
        std::fprintf(stderr, "consumer_cpp.cpp:%d: failed: %s\n", line, what);
    }
}
#define CHECK(condition) check((condition), #condition, __LINE__)

template <typename Function> ernie::Code code_of(Function function) {
    try {
        function();
    } catch (const ernie::Error &error) {
        CHECK(std::strlen(error.what()) > 0);
        return error.code();
    }
    return ernie::Code::Ok;
}

void texts(const ernie::Model &model) {
    const std::string owned = "房间很干净";
    const ernie::Result both = model.encode({owned, {"好", "不好"}});
    CHECK(both.size() == 2 && both.matrix().rows() == 2);
    const std::vector<float> one = model.encode_one(owned);
    for (std::size_t d = 0; d < one.size(); ++d) {
        CHECK(std::fabs(one[d] - both.matrix().row(0)[d]) < 1e-5f);
    }
    std::vector<float> buffer(one.size());
    CHECK(model.encode_into({owned}, buffer.data(), buffer.size()) == one.size());
    CHECK(code_of([&] { model.encode_into({owned}, buffer.data(), 1); }) == ernie::Code::BufferTooSmall);
    const std::vector<std::string> strings = {owned, "好"};
    const std::array<std::string_view, 2> views = {owned, "好"};
    CHECK(model.encode(strings).size() == 2 && model.encode(views).size() == 2 && model.encode("好").size() == 1);
    CHECK(model.infer({"好", "坏"}).size() == 2 && model.infer({{"好", "坏"}}).size() == 1);
    static_assert(!std::is_constructible_v<ernie::Inputs, std::vector<std::string>>, "strings that are gone");
    CHECK(model.encode({}).size() == 0 && model.infer({}).size() == 0);
    const ernie::Result pairs = model.encode({{"好", std::string_view()}, {"好", std::nullopt}, {"好", owned}});
    CHECK(pairs.tokens(0).input_ids.size() == 4 && pairs.tokens(1).input_ids.size() == 3);
    CHECK(pairs.tokens(2).input_ids.size() == 9);
}

void labels(const ernie::Model &model) {
    const std::vector<ernie::Input> inputs = {"服务热情，非常满意", "太差了，非常失望"};
    const ernie::Result result = model.infer(inputs, ernie::Call().top_k(1));
    for (std::size_t i = 0; i < 2; ++i) {
        const auto items = result.items(i);
        CHECK(items.size() == 1 && ernie::text_of(items[0]) == (i == 0 ? "positive" : "negative"));
    }
    const ernie::Result sigmoid = model.infer(inputs, ernie::Call().problem(ernie::Problem::MultiLabel));
    for (const ernie::Item &item : sigmoid.items(0)) {
        const double logit = static_cast<double>(sigmoid.matrix().row(0)[static_cast<std::size_t>(item.id)]);
        CHECK(std::fabs(static_cast<double>(item.score) - 1.0 / (1.0 + std::exp(-logit))) < 1e-5);
    }
    CHECK(model.label(0) == "negative" && !model.label(9));
    CHECK(model.info().n_labels == 2 && model.stats().n_runs > 0);
}

void tokens(const std::string &dir) {
    const ernie::Tokenizer tokenizer(dir);
    const ernie::Result result =
        tokenizer.encode({"好[MASK]"}, ernie::Call().special_tokens(ernie::SpecialTokens::Plain));
    const ernie::Result known = tokenizer.encode({"好[MASK]"});
    CHECK(known.tokens(0).input_ids.size() == 4 && result.tokens(0).input_ids.size() > 4);
    CHECK(tokenizer.decode(known.tokens(0).input_ids, ernie::Decode::KeepSpecialTokens) == "[CLS] 好 [MASK] [SEP]");
    CHECK(tokenizer.vocab_size() > 1000);
    CHECK(code_of([&] { (void)tokenizer.decode(std::vector<std::int64_t>{-1}); }) == ernie::Code::InvalidArgument);
    CHECK(tokenizer.decode({known.tokens(0).input_ids[1], 0}).size() == 3);
    const ernie_tokenizer_info info = tokenizer.info();
    CHECK(info.scheme == std::string("bert") && info.max_tokens == 512 && info.n_added_tokens_of_pair == 3);
    CHECK(tokenizer.tokens(std::vector<std::int64_t>{info.cls_id, info.mask_id}) ==
          std::vector<std::string>({"[CLS]", "[MASK]"}));
    CHECK(tokenizer.token_id("[MASK]") == known.tokens(0).input_ids[2] && !tokenizer.token_id("no such token"));
}

void windows(const std::string &dir) {
    const ernie::Tokenizer tokenizer(dir);
    const std::string passage = "房间很干净房间很干净";
    const ernie::Result result = tokenizer.encode(
        {{"很好", passage}}, ernie::Call().max_tokens(9).truncation(ernie::Truncation::Windows).doc_stride(3));
    CHECK(result.size() == 3);
    for (std::size_t i = 0; i < result.size(); ++i) {
        const ernie::Tokens window = result.tokens(i);
        CHECK(window.input == 0 && window.window == i && window.n_windows == 3);
        CHECK(result.fragment(i, 4, 8).in("很好", passage) == passage.substr(9 * i, 12));
        const auto points =
            ernie::convert_spans(passage, ernie::Unit::Bytes, ernie::Unit::CodePoints, {window.offsets.data() + 4, 4});
        CHECK(points.size() == 4 && points[0].begin == 3 * i && points[3].end == 3 * i + 4);
    }
    const ernie::Result cut = tokenizer.encode({passage}, ernie::Call().max_tokens(6));
    const ernie::Tokens tokens = cut.tokens(0);
    CHECK(tokens.n_truncated_tokens == 6 && tokens.truncated_text.begin == 12 && tokens.truncated_pair.end == 0);
    CHECK(code_of([&] { (void)cut.fragment(0, 0, 99); }) == ernie::Code::InvalidArgument);
    CHECK(code_of([&] {
              (void)ernie::convert_spans("é", ernie::Unit::Bytes, ernie::Unit::Utf16, std::vector<ernie_span>{{0, 1}});
          }) == ernie::Code::InvalidArgument);
}

void every_type(const std::string &fixtures) {
    const ernie::Model model(fixtures + "/every_type", ernie::Options().set("task", "tensors"));
    const ernie_str strings[2] = {{"房间", 6}, {"", 0}};
    const unsigned char bytes[16] = {1, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    struct Type {
        const char *name;
        std::uint32_t number;
        std::size_t size;
    };
    const std::vector<Type> types = {
        {"float", ERNIE_TYPE_FLOAT32, 4},   {"uint8", ERNIE_TYPE_UINT8, 1},       {"int8", ERNIE_TYPE_INT8, 1},
        {"uint16", ERNIE_TYPE_UINT16, 2},   {"int16", ERNIE_TYPE_INT16, 2},       {"int32", ERNIE_TYPE_INT32, 4},
        {"int64", ERNIE_TYPE_INT64, 8},     {"string", ERNIE_TYPE_STRING, 0},     {"bool", ERNIE_TYPE_BOOL, 1},
        {"float16", ERNIE_TYPE_FLOAT16, 2}, {"double", ERNIE_TYPE_FLOAT64, 8},    {"uint32", ERNIE_TYPE_UINT32, 4},
        {"uint64", ERNIE_TYPE_UINT64, 8},   {"bfloat16", ERNIE_TYPE_BFLOAT16, 2},
    };
    alignas(8) unsigned char data[16];
    std::memcpy(data, bytes, sizeof data);
    std::vector<ernie::TensorView> inputs;
    for (const Type &type : types) {
        const bool is_string = type.number == ERNIE_TYPE_STRING;
        const void *values = is_string ? static_cast<const void *>(strings) : data;
        inputs.push_back(
            {std::string(type.name) + "_in", type.number, {1, 2}, values, is_string ? sizeof strings : 2 * type.size});
    }
    const ernie::Result result = model.infer_tensors(inputs);
    const auto outputs = result.tensors();
    CHECK(outputs.size() == types.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        CHECK(outputs[i].element_type == types[i].number && outputs[i].n_bytes == inputs[i].n_bytes);
        if (types[i].number == ERNIE_TYPE_STRING) {
            const auto *got = static_cast<const ernie_str *>(outputs[i].data);
            CHECK(std::string(got[0].data, got[0].len) == "房间" && got[1].len == 0);
        } else {
            CHECK(std::memcmp(outputs[i].data, data, outputs[i].n_bytes) == 0);
        }
    }
    CHECK(code_of([&] { (void)outputs[1].floats(); }) == ernie::Code::InvalidArgument);
}

void generating(const std::string &fixtures) {
    const ernie::Model model(fixtures + "/checkpoints/paddle_ernie_generator");
    const std::vector<std::string> texts = {"今天天气很好", "我们去北京"};
    const ernie::Result best = model.generate(texts, {}, ernie::Generation().n_beams(4).n_sequences(2));
    CHECK(best.size() == 2 && best.generated(0).size() == 2 && model.generate("好").size() == 1);
    CHECK(model.generate({{"我们", "今天"}}).size() == 1 && model.generate({}).size() == 0);
    for (const ernie::Generated &text : best.generated(1)) {
        CHECK(text.score() <= best.generated(1)[0].score() && text.log_probability() < 0.0f);
        CHECK(text.token_ids().size() > 0 && text.finish() != ernie::Finish::Stopped);
    }
    CHECK(best.items(0).size() == 2 && ernie::text_of(best.items(0)[1]) == best.generated(0)[1].text());
    // Copies share the lists, which stay where they are.
    const auto settings = [](std::int64_t first) {
        const ernie::Generation kept = ernie::Generation()
                                           .decoding(ernie::Decoding::Sample)
                                           .temperature(1.5f)
                                           .top_p(0.9f)
                                           .top_k(20)
                                           .seed(3)
                                           .repetition_penalty(1.5f)
                                           .no_repeat_ngram(2)
                                           .source_padding(ernie::SourcePadding::None)
                                           .max_new_tokens(9)
                                           .min_new_tokens(9)
                                           .stop({"never, 1", "never, 2"})
                                           .forbidden_tokens({50, 51})
                                           .forced_tokens({first, 60});
        return kept;
    };
    const ernie::Result sampled = model.generate("好", {}, settings(59));
    const ernie::Generated &one = sampled.generated(0)[0];
    CHECK(one.token_ids().size() == 9 && one.token_ids()[0] == 59 && one.token_ids()[1] == 60);
    CHECK(one.finish() == ernie::Finish::Length && one.score() == one.log_probability());
    CHECK(code_of([&] { (void)model.generate("好", {}, settings(51)); }) == ernie::Code::InvalidArgument);
    CHECK(code_of([&] { (void)model.generate("好", {}, ernie::Generation().length_penalty(11)); }) ==
          ernie::Code::InvalidArgument);
    CHECK(code_of([&] { (void)best.generated(2); }) == ernie::Code::InvalidArgument);
}

void streaming(const std::string &fixtures) {
    const ernie::Model model(fixtures + "/checkpoints/paddle_ernie_generator");
    const std::vector<std::string> texts = {"今天天气很好", "我们去北京"};
    const auto greedy = ernie::Generation().decoding(ernie::Decoding::Greedy);
    std::vector<std::string> joined(texts.size());
    const ernie::Result result = model.generate(texts, {}, greedy, [&](const ernie::Piece &piece) {
        joined[piece.input] += piece.text;
        return piece.input == 0;
    });
    CHECK(joined[0] == result.generated(0)[0].text() && joined[1] == result.generated(1)[0].text());
    CHECK(result.generated(1)[0].finish() == ernie::Finish::Stopped);
    CHECK(model.generate(texts, {}, greedy, nullptr).size() == 2);

    // What the function throws comes out, once, and nothing more is asked of it.
    ernie::Cancel cancel;
    for (const ernie::Call &call : {ernie::Call(), ernie::Call().cancel(cancel)}) {
        int n_pieces = 0;
        try {
            model.generate(texts, call, greedy, [&](const ernie::Piece &) -> bool {
                ++n_pieces;
                throw std::string("enough");
            });
            CHECK(!"an exception");
        } catch (const std::string &thrown) {
            CHECK(thrown == "enough" && n_pieces == 1);
        }
        CHECK(!cancel.signalled() && model.generate(texts, call, greedy).size() == 2);
    }

    // Texts that were not begun yet are not written any more.
    const std::vector<std::string> many(200, "好");
    const auto n_before = model.stats().n_new_tokens;
    try {
        model.generate(many, {}, ernie::Generation(), [](const ernie::Piece &) -> bool { throw 1; });
    } catch (int) {
    }
    CHECK(model.stats().n_new_tokens - n_before < many.size());

    // A copy in a call outlives the handle that it is of.
    auto call = std::make_unique<ernie::Call>(ernie::Call().cancel(ernie::Cancel()));
    CHECK(model.generate(texts, *call, greedy).size() == 2);
    call->cancel(cancel);
    const ernie::Call copy = *call;
    call.reset();
    CHECK(code_of([&] {
              model.generate(texts, copy, greedy, [&](const ernie::Piece &) {
                  ernie::Cancel(cancel).signal();
                  return true;
              });
          }) == ernie::Code::Cancelled);
    CHECK(cancel.signalled() && code_of([&] { (void)model.encode("好", copy); }) == ernie::Code::Cancelled);
    CHECK(model.stats().cache_bytes == 0 && model.stats().n_new_tokens > 0);
}

void sharing(ernie::Model model) {
    ernie::Model copy = model;
    const ernie::Model moved = std::move(model);
    std::vector<std::thread> threads;
    const std::vector<float> wanted = moved.encode_one("房间很干净");
    std::vector<int> right(4, 0);
    for (std::size_t t = 0; t < right.size(); ++t) {
        threads.emplace_back([&, t] { right[t] = moved.encode_one("房间很干净") == wanted ? 1 : 0; });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    CHECK(right == std::vector<int>(4, 1));
    copy = moved;
    CHECK(copy.raw() == moved.raw());
}

void asynchronously(const std::string &dir) {
    auto model = std::make_unique<ernie::Model>(dir);
    const std::vector<float> wanted = model->encode_one("房间很干净");
    std::vector<std::future<ernie::Result>> futures;
    for (int i = 0; i < 16; ++i) {
        futures.push_back(model->encode_async(std::string("房间很干净")));
    }
    std::atomic<int> n_told{0};
    std::promise<void> all_told;
    for (int i = 0; i < 16; ++i) {
        model->infer_async("房间很干净", {}, [&](std::future<ernie::Result> end) {
            const ernie::Result result = end.get();
            n_told += result.items(0).size() == 2 ? 1 : 100;
            if (n_told == 16) {
                all_told.set_value();
            }
        });
    }
    model.reset();
    for (std::future<ernie::Result> &future : futures) {
        const ernie::Result result = future.get();
        const auto row = result.matrix().row(0);
        CHECK(std::vector<float>(row.begin(), row.end()) == wanted);
    }
    all_told.get_future().wait();
    CHECK(n_told == 16);

    const ernie::Model strict(dir, ernie::Options().set("truncation", "error").set("max_tokens", "4"));
    std::future<ernie::Result> failing = strict.infer_async("房间很干净");
    CHECK(code_of([&] { (void)failing.get(); }) == ernie::Code::TextTooLong);
    std::promise<ernie::Code> code;
    strict.encode_async("房间很干净", {},
                        [&](std::future<ernie::Result> end) { code.set_value(code_of([&] { (void)end.get(); })); });
    CHECK(code.get_future().get() == ernie::Code::TextTooLong);
    CHECK(code_of([&] { (void)strict.infer_async("\xff"); }) == ernie::Code::InvalidUtf8);
    CHECK(code_of([&] { strict.infer_async("好", {}, nullptr); }) == ernie::Code::InvalidArgument);

    const ernie::Model busy(dir, ernie::Options().set("max_queue", "1").set("max_wait_us", "10000000"));
    const ernie::Cancel cancel;
    std::future<ernie::Result> waits = busy.infer_async("好", ernie::Call().cancel(cancel));
    CHECK(code_of([&] { (void)busy.infer_async("好"); }) == ernie::Code::Busy);
    cancel.signal();
    CHECK(code_of([&] { (void)waits.get(); }) == ernie::Code::Cancelled);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    try {
        int n_messages = 0;
        ernie::set_log_callback([&](std::int32_t, std::string_view, std::string_view) { ++n_messages; },
                                ERNIE_LOG_INFO);
        const ernie::Model model(argv[1]);
        CHECK(n_messages > 0);
        ernie::set_log_callback(nullptr, ERNIE_LOG_OFF);
        CHECK(ernie::version() == ERNIE_VERSION_NUMBER && other_unit_version() == ERNIE_VERSION_NUMBER);
        CHECK(!ernie::build_info().empty() && !ernie::runtime_info().empty());
        texts(model);
        labels(model);
        tokens(argv[1]);
        windows(argv[1]);
        every_type(argv[2]);
        generating(argv[2]);
        streaming(argv[2]);
        sharing(model);
        asynchronously(argv[1]);
        CHECK(code_of([] { ernie::Model("/nowhere"); }) == ernie::Code::NotFound);
        CHECK(code_of([] { ernie::Options().set("a", "b"); }) == ernie::Code::InvalidArgument);
        CHECK(code_of([] { ernie::Options().provider("abacus"); }) == ernie::Code::InvalidArgument);
        ernie::Options().check_provider();
        CHECK(code_of([] { ernie::Options().provider("cuda").check_provider(); }) == ernie::Code::ProviderUnavailable);
        CHECK(code_of([] { ernie::Options().set("graph", {"a\0b", 3}); }) == ernie::Code::InvalidArgument);
        CHECK(code_of([] { ernie::set_log_callback(nullptr, 99); }) == ernie::Code::InvalidArgument);
        CHECK(code_of([] { ernie::load_runtime("/nowhere.so"); }) == ernie::Code::InvalidArgument);
    } catch (const ernie::Error &error) {
        std::fprintf(stderr, "consumer_cpp: %s\n", error.what());
        return 1;
    }
    std::printf("consumer_cpp: %d checks failed\n", n_failed);
    return n_failed != 0;
}
