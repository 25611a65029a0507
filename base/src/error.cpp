#include "base/error.hpp"

namespace base {

void throw_errno(const std::string& operation) {
    throw Error(errno, operation);
}

std::string error_chain(const std::exception& error) {
    std::string text = error.what();
    try {
        std::rethrow_if_nested(error);
    } catch (const std::exception& inner) {
        text += ": ";
        text += error_chain(inner);
    } catch (...) {
        text += ": unknown error";
    }
    return text;
}

} // namespace base
