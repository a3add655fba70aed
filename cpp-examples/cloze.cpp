// The words behind [MASK].
// cloze MODEL_DIR TEXT [CANDIDATE...]
#include <ernie.hpp>

#include <iostream>
#include <string>
#include <vector>

int main(int argc, char **argv) {
    try {
        if (argc < 3) {
            std::cerr << "cloze MODEL_DIR TEXT [CANDIDATE...]\n";
            return 2;
        }
        const ernie::Model model(argv[1]);
        ernie::Call call;
        if (argc > 3) {
            call.candidates({argv + 3, argv + argc});
        } else {
            call.top_k(5).whole_words();
        }
        const ernie::Result result = model.infer(argv[2], call);
        for (const ernie::Item &word : result.items(0)) {
            std::cout << "[MASK] " << word.group << " at byte " << word.begin << ": " << ernie::text_of(word) << ", "
                      << word.score << '\n';
        }
        return 0;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
