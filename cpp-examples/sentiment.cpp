// Says of Chinese reviews whether they are positive.
//
//   sentiment MODEL_DIR              six reviews that come with the program
//   sentiment MODEL_DIR TEXT...      these texts
//   sentiment MODEL_DIR -            lines of standard input, answered as they come
#include <ernie.hpp>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

namespace {

const std::vector<std::string> reviews = {
    "房间宽敞明亮，早餐也很丰富，下次还会再来。", "空调坏了一晚上没人修，前台态度还很差。",
    "书很好看，孩子非常喜欢，强烈推荐！",         "键盘用了三天就失灵了，客服一直推脱。",
    "位置很方便，出门就是地铁站，性价比很高。",   "印刷质量太差，好几页都看不清楚，非常失望。",
};

void print(const ernie::Result &result, const std::vector<std::string> &texts) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const ernie::Item &best = result.items(i)[0];
        std::printf("%-9s %.3f  %s\n", std::string(ernie::text_of(best)).c_str(), static_cast<double>(best.score),
                    texts[i].c_str());
    }
    std::fflush(stdout);
}

void classify(const ernie::Model &model, const std::vector<std::string> &texts) { print(model.infer(texts), texts); }

/// Lines that are already there share a run; the first one that is not is not waited for.
void classify_lines(const ernie::Model &model) {
    std::vector<std::string> texts;
    std::string line;
    while (std::getline(std::cin, line)) {
        texts.push_back(line);
        if (texts.size() == 64 || std::cin.rdbuf()->in_avail() <= 0) {
            classify(model, texts);
            texts.clear();
        }
    }
    if (!texts.empty()) {
        classify(model, texts);
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s MODEL_DIR [TEXT... | -]\n", argv[0]);
        return 2;
    }
    std::ios::sync_with_stdio(false);
    try {
        const ernie::Model model(argv[1]);
        const std::vector<std::string> texts(argv + 2, argv + argc);
        if (texts.size() == 1 && texts[0] == "-") {
            classify_lines(model);
        } else {
            classify(model, texts.empty() ? reviews : texts);
        }
        return std::ferror(stdout) == 0 ? 0 : 1;
    } catch (const ernie::Error &error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
