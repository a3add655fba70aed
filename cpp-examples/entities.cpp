// Entities of texts: persons, places, whatever the model was trained to find.
// entities MODEL_DIR [TEXT...]; without texts, standard input line by line. Labels without names in the model's
// directory come from a label map: ERNIE_LABELS=FILE.
#include <ernie.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

void print(const ernie::Model &model, const std::vector<std::string> &texts) {
    // A text longer than the model goes through in windows; what they find is put together.
    const auto call = ernie::Call().truncation(ernie::Truncation::Windows).errors(ernie::Errors::Input);
    const ernie::Result result = model.infer(texts, call);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        std::cout << texts[i] << '\n';
        if (const auto error = result.error(i)) {
            std::cout << "  not answered: " << error->what() << '\n';
            continue;
        }
        for (const ernie::Item &item : result.items(i)) {
            std::cout << "  " << ernie::label_of(item) << " \"" << ernie::text_of(item) << "\" bytes " << item.begin
                      << " to " << item.end << ", " << item.score << '\n';
        }
    }
}

} // namespace

int main(int argc, char **argv) {
    try {
        if (argc < 2) {
            std::cerr << "entities MODEL_DIR [TEXT...]\n";
            return 2;
        }
        ernie::Options options;
        if (const char *labels = std::getenv("ERNIE_LABELS")) {
            options.set("labels", labels);
        }
        const ernie::Model model(argv[1], options);
        if (argc > 2) {
            print(model, {argv + 2, argv + argc});
            return 0;
        }
        for (std::string line; std::getline(std::cin, line);) {
            print(model, {line});
        }
        return 0;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
