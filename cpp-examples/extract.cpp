// What a schema names, found in a text: entities, relations, events.
// extract MODEL_DIR SCHEMA TEXT, for instance '["人物", {"竞赛名称": ["主办方", "时间"]}]'
#include <ernie.hpp>

#include <iostream>
#include <string>

int main(int argc, char **argv) {
    try {
        if (argc != 4) {
            std::cerr << "extract MODEL_DIR SCHEMA TEXT\n";
            return 2;
        }
        const ernie::Model model(argv[1]);
        const ernie::Result result = model.infer(argv[3], ernie::Call().schema(argv[2]));
        const auto items = result.items(0);
        for (const ernie::Item &item : items) {
            // What belongs to a finding comes behind it and names it.
            std::size_t depth = 0;
            for (auto parent = item.parent; parent >= 0; parent = items[static_cast<std::size_t>(parent)].parent) {
                ++depth;
            }
            std::cout << std::string(2 * depth, ' ') << ernie::label_of(item) << ": " << ernie::text_of(item) << ", "
                      << item.score << '\n';
        }
        return 0;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
