// Answers texts without waiting for each: many are under way at a time and share the model's runs.
//
//   callers MODEL_DIR [TEXT...]      these texts, else lines of standard input; answers come in their order
//
// The same happens where threads of a server call Model::infer() at the same time: calls that wait share a run.
#include <ernie.hpp>

#include <deque>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace {

/// What is under way, oldest first.
class Pending {
  public:
    explicit Pending(const ernie::Model &model) : model_(model) {}

    /// Starts a text; where as many are under way as the model lets in, waits for the oldest first.
    void start(const std::string &text) {
        for (;;) {
            try {
                answers_.emplace_back(text, model_.infer_async({text}));
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

  private:
    void finish_oldest() {
        auto [text, answer] = std::move(answers_.front());
        answers_.pop_front();
        const ernie::Result result = answer.get();
        std::cout << ernie::text_of(result.items(0)[0]) << "  " << text << '\n';
    }

    const ernie::Model &model_;
    std::deque<std::pair<std::string, std::future<ernie::Result>>> answers_;
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
        return 0;
    } catch (const ernie::Error &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
