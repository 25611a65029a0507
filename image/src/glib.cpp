#include "glib.hpp"

#include "base/error.hpp"

namespace image {

GErrorGuard::~GErrorGuard() {
    g_clear_error(&error_);
}

void GErrorGuard::check(bool success) {
    if (!success)
        throw base::Error(context_ + ": " + (error_ != nullptr ? error_->message : "failed without a message"));
}

} // namespace image
