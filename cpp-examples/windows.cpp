// A long passage in windows that overlap, as reading comprehension takes it, each with the question.
// windows TOKENIZER_DIR [QUESTION PASSAGE]
#include <ernie.hpp>

#include <iostream>

int main(int argc, char **argv) {
    try {
        const ernie::Tokenizer tokenizer(argc > 1 ? argv[1] : "models/demo");
        const std::string question = argc > 3 ? argv[2] : "早餐怎么样";
        const std::string passage =
            argc > 3 ? argv[3] : "房间很干净，服务也好。早餐太差了，咖啡是冷的。位置不错，离地铁很近。";
        const auto call = ernie::Call().max_tokens(24).truncation(ernie::Truncation::Windows).doc_stride(8);
        const ernie::Result windows = tokenizer.encode({{question, passage}}, call);
        for (std::size_t i = 0; i < windows.size(); ++i) {
            const ernie::Tokens window = windows.tokens(i);
            // The first token of the pair, and the last: in front of it stand [CLS], the question and [SEP].
            std::size_t first = 0;
            while (first < window.sequence.size() && window.sequence[first] != ERNIE_SEQUENCE_PAIR) {
                ++first;
            }
            const ernie::Fragment fragment = windows.fragment(i, first, window.input_ids.size());
            const auto points =
                ernie::convert_spans(passage, ernie::Unit::Bytes, ernie::Unit::CodePoints, {&fragment.span, 1});
            std::cout << "window " << window.window << " of " << window.n_windows << ", " << window.input_ids.size()
                      << " tokens, characters " << points[0].begin << " to " << points[0].end << ": "
                      << fragment.in(question, passage) << '\n';
        }
        return 0;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
