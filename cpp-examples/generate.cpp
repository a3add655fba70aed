// Texts that a model writes: as they come, word by word, then the three best that beam search finds.
// generate MODEL_DIR [TEXT...]; without texts, standard input line by line. Ctrl-C ends it, also in the middle
// of a text.
#include <ernie.hpp>

#include <iostream>
#include <signal.h>
#include <string>

namespace {

const ernie::Cancel interrupted;

void write(const ernie::Model &model, const std::string &text) {
    std::cout << text << "\n  " << std::flush;
    const auto call = ernie::Call().cancel(interrupted);
    const auto greedy = ernie::Generation().decoding(ernie::Decoding::Greedy);
    model.generate(text, call, greedy, [](const ernie::Piece &piece) {
        std::cout << piece.text << std::flush;
        return true;
    });
    std::cout << '\n';
    const ernie::Result best = model.generate(text, call, ernie::Generation().n_beams(5).n_sequences(3));
    for (const ernie::Generated &one : best.generated(0)) {
        std::cout << "  " << one.score() << "  " << one.text() << '\n';
    }
}

} // namespace

extern "C" void on_interrupt(int) { interrupted.signal(); }

int main(int argc, char **argv) {
    try {
        if (argc < 2) {
            std::cerr << "generate MODEL_DIR [TEXT...]\n";
            return 2;
        }
        const ernie::Model model(argv[1]);
        // The first Ctrl-C ends what is being written, or the wait for a line; a second one would end anything.
        struct sigaction action = {};
        action.sa_handler = on_interrupt;
        action.sa_flags = SA_RESETHAND;
        sigaction(SIGINT, &action, nullptr);
        for (int i = 2; i < argc; ++i) {
            write(model, argv[i]);
        }
        for (std::string line; argc == 2 && std::getline(std::cin, line);) {
            write(model, line);
        }
        return std::cout.flush() ? 0 : 1;
    } catch (const ernie::Error &error) {
        std::cerr << (error.code() == ernie::Code::Cancelled ? "\n" : "error: ") << error.what() << '\n';
        return error.code() == ernie::Code::Cancelled ? 130 : 1;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
