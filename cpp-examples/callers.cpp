// Answers texts without waiting for each: many are under way at a time and share the model's runs.
//
//   callers MODEL_DIR [TEXT...]      these texts, else lines of standard input
//
// Answers come in the order of the texts, those that are there whenever a text is started; what is wrong with a text is
// told by its number. The same happens where threads of a server call Model::infer() at the same time: calls that wait
// share a run.
#include <ernie.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

/// What is under way, oldest first.
class Pending {
  public:
    explicit Pending(const ernie::Model &model) : model_(model) {}
    Pending(const Pending &) = delete;
    Pending &operator=(const Pending &) = delete;
    /// No call may outlive the program, whatever ends it.
    ~Pending() {
        for (const auto &[text, answer] : answers_) {
            answer.wait();
        }
    }

    /// Starts a text, and prints the answers that are there; where as many are under way as the model lets in, waits
    /// for the oldest.
    void start(const std::string &text) {
        while (!answers_.empty() && answers_.front().second.wait_for(std::chrono::seconds(0)) == ready) {
            finish_oldest();
        }
        for (;;) {
            try {
                answers_.emplace_back(text, model_.infer_async({text}, ernie::Call().errors(ernie::Errors::Input)));
                return;
            } catch (const ernie::Error &error) {
                if (error.code() != ernie::Code::Busy || answers_.empty()) {
                    throw;
                }
                finish_oldest();
            }
        }
    }
    void finish() {
        while (!answers_.empty()) {
            finish_oldest();
        }
    }
    [[nodiscard]] bool has_failed() const { return has_failed_; }

  private:
    static constexpr std::future_status ready = std::future_status::ready;

    void finish_oldest() {
        auto [text, answer] = std::move(answers_.front());
        answers_.pop_front();
        ++n_finished_;
        const ernie::Result result = answer.get();
        if (const std::optional<ernie::Error> error = result.error(0)) {
            std::cerr << "error: text " << n_finished_ << ": " << error->what() << '\n';
            has_failed_ = true;
        } else {
            std::cout << ernie::text_of(result.items(0)[0]) << "  " << text << '\n' << std::flush;
        }
    }

    const ernie::Model &model_;
    std::deque<std::pair<std::string, std::future<ernie::Result>>> answers_;
    std::size_t n_finished_ = 0;
    bool has_failed_ = false;
};

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " MODEL_DIR [TEXT...]\n";
        return 2;
    }
    try {
        const ernie::Model model(argv[1], ernie::Options().set("max_queue", "64"));
        Pending pending(model);
        const std::vector<std::string> texts(argv + 2, argv + argc);
        for (const std::string &text : texts) {
            pending.start(text);
        }
        for (std::string line; texts.empty() && std::getline(std::cin, line);) {
            pending.start(line);
        }
        pending.finish();
        const ernie_model_statistics statistics = model.stats();
        std::cerr << statistics.n_texts << " texts in " << statistics.n_runs << " runs\n";
        return pending.has_failed() || !std::cout ? 1 : 0;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
