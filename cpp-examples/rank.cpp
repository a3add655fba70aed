// Candidates in order of how well they fit a query.
// rank MODEL_DIR QUERY CANDIDATE...: a cross-encoder, a classifier of pairs, a multiple choice model, or an encoder
// rank --dual QUERY_MODEL_DIR TITLE_MODEL_DIR QUERY CANDIDATE...: a dual encoder, whose candidates' vectors can be kept
#include <ernie.hpp>

#include <iostream>
#include <string>
#include <vector>

namespace {

void print(const ernie::Result &ranking, const std::vector<std::string> &candidates) {
    for (const ernie::Item &item : ranking.items(0)) {
        std::cout << item.score << "  " << candidates[static_cast<std::size_t>(item.id)] << '\n';
    }
}

} // namespace

int main(int argc, char **argv) {
    try {
        const bool is_dual = argc > 5 && std::string_view(argv[1]) == "--dual";
        if (argc < 4) {
            std::cerr << "rank MODEL_DIR QUERY CANDIDATE... or rank --dual QUERY_MODEL_DIR TITLE_MODEL_DIR QUERY "
                         "CANDIDATE...\n";
            return 2;
        }
        if (!is_dual) {
            const std::vector<std::string> candidates(argv + 3, argv + argc);
            print(ernie::Model(argv[1]).rank(argv[2], candidates), candidates);
            return 0;
        }
        const std::vector<std::string> titles(argv + 5, argv + argc);
        // These vectors are made once, and serve all queries.
        const ernie::Result kept = ernie::Model(argv[3]).encode(titles);
        const ernie::Matrix vectors = kept.matrix();
        const std::vector<float> query = ernie::Model(argv[2]).encode_one(argv[4]);
        print(ernie::rank_vectors(query, {vectors.data(), vectors.rows() * vectors.columns()}, vectors.rows(),
                                  ernie::Similarity::Dot),
              titles);
        return 0;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
