// A second translation unit: nothing of the headers may be defined twice.
#include <ernie.hpp>

std::size_t other_unit_version();
std::size_t other_unit_version() { return ernie::version(); }
