// Answers to questions from a passage of any length.
// answers MODEL_DIR PASSAGE QUESTION...
#include <ernie.hpp>

#include <iostream>
#include <vector>

int main(int argc, char **argv) {
    try {
        if (argc < 4) {
            std::cerr << "answers MODEL_DIR PASSAGE QUESTION...\n";
            return 2;
        }
        // Nothing in a paddle-ernie checkpoint tells a reading comprehension model from a classifier of two labels.
        const ernie::Model model(argv[1], ernie::Options().set("task", "question_answering"));
        const std::string_view passage = argv[2];
        std::vector<ernie::Input> questions;
        for (int i = 3; i < argc; ++i) {
            questions.emplace_back(argv[i], passage);
        }
        const ernie::Result result = model.infer(questions, ernie::Call().top_k(3));
        for (std::size_t i = 0; i < questions.size(); ++i) {
            const auto scores = result.matrix().row(i);
            std::cout << argv[i + 3] << "\n  best score " << scores[0] << ", no answer " << scores[1] << '\n';
            for (const ernie::Item &answer : result.items(i)) {
                std::cout << "  \"" << passage.substr(answer.begin, answer.end - answer.begin) << "\" at byte "
                          << answer.begin << ", " << answer.score << '\n';
            }
        }
        return 0;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
