#include <ernie.hpp>

#include <iostream>

int main(int argc, char **argv) {
    try {
        const ernie::Model model(argc > 1 ? argv[1] : "models/demo");
        const ernie::Result result = model.encode({"房间很干净，服务也好", "屏幕太暗，后悔买了"});
        const ernie::Matrix vectors = result.matrix();
        std::cout << vectors.rows() << " texts, " << vectors.columns() << " dimensions each\n";
        for (std::size_t i = 0; i < vectors.rows(); ++i) {
            const auto row = vectors.row(i);
            std::cout << "text " << i << ": " << row[0] << ' ' << row[1] << ' ' << row[2] << " ...\n";
        }
        return 0;
    } catch (const ernie::Error &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
