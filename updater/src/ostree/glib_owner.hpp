// Owners of GLib's things, and GError as an exception. Included by the files in this folder only.
#pragma once
#include <memory>
#include <string>

#include <glib-object.h>

#include "base/error.hpp"

namespace updater {

struct GObjectUnref {
    void operator()(gpointer object) const noexcept { g_object_unref(object); }
};
template <typename T>
using GOwner = std::unique_ptr<T, GObjectUnref>;

struct GVariantUnref {
    void operator()(GVariant* variant) const noexcept { g_variant_unref(variant); }
};
using GVariantOwner = std::unique_ptr<GVariant, GVariantUnref>;

struct GBytesUnref {
    void operator()(GBytes* bytes) const noexcept { g_bytes_unref(bytes); }
};

struct GFree {
    void operator()(gpointer memory) const noexcept { g_free(memory); }
};
using GString = std::unique_ptr<char, GFree>;

struct GPtrArrayUnref {
    void operator()(GPtrArray* array) const noexcept { g_ptr_array_unref(array); }
};
using GPtrArrayOwner = std::unique_ptr<GPtrArray, GPtrArrayUnref>;

struct GHashTableUnref {
    void operator()(GHashTable* table) const noexcept { g_hash_table_unref(table); }
};
using GHashTableOwner = std::unique_ptr<GHashTable, GHashTableUnref>;

struct GKeyFileUnref {
    void operator()(GKeyFile* file) const noexcept { g_key_file_unref(file); }
};
using GKeyFileOwner = std::unique_ptr<GKeyFile, GKeyFileUnref>;

template <typename T>
GOwner<T> share(T* object) {
    return GOwner<T>(object != nullptr ? static_cast<T*>(g_object_ref(object)) : nullptr);
}

/// Receives a GError: `if (!call(..., failure)) failure.raise("open repository X");`
class Failure {
public:
    Failure() = default;
    Failure(const Failure&) = delete;
    Failure& operator=(const Failure&) = delete;
    ~Failure() { g_clear_error(&error_); }
    operator GError**() noexcept { return &error_; }
    bool matches(GQuark domain, int code) const noexcept { return g_error_matches(error_, domain, code); }
    std::string message() const { return error_ != nullptr ? error_->message : "failed without a reason"; }
    [[noreturn]] void raise(const std::string& what) const { throw base::Error(what + ": " + message()); }

private:
    GError* error_ = nullptr;
};

} // namespace updater
