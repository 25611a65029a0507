// GLib in C++: owners, and errors as exceptions.
#pragma once
#include <glib-object.h>

#include <memory>
#include <string>

namespace image {

struct GObjectUnref {
    void operator()(void* object) const noexcept { g_object_unref(object); }
};
struct GVariantUnref {
    void operator()(GVariant* variant) const noexcept { g_variant_unref(variant); }
};
struct GFree {
    void operator()(void* memory) const noexcept { g_free(memory); }
};
struct GKeyFileUnref {
    void operator()(GKeyFile* file) const noexcept { g_key_file_unref(file); }
};
template <typename T>
using GObjectPtr = std::unique_ptr<T, GObjectUnref>;
using GVariantPtr = std::unique_ptr<GVariant, GVariantUnref>;
using GString_ = std::unique_ptr<char, GFree>;
using GKeyFilePtr = std::unique_ptr<GKeyFile, GKeyFileUnref>;

/// Receives a GError** and throws base::Error "CONTEXT: message" when one came.
class GErrorGuard {
public:
    explicit GErrorGuard(std::string context) : context_(std::move(context)) {}
    ~GErrorGuard();
    GErrorGuard(const GErrorGuard&) = delete;
    GErrorGuard& operator=(const GErrorGuard&) = delete;
    GError** out() noexcept { return &error_; }
    /// Throws when `success` is false.
    void check(bool success);

private:
    std::string context_;
    GError* error_ = nullptr;
};

} // namespace image
