// A small config.json for tests, changed by pieces of JSON.
#pragma once
#include <string>

#include <boost/json.hpp>

namespace runtime_test {

inline boost::json::object minimal() {
    return boost::json::parse(R"({
        "ociVersion": "1.1.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["sh"], "cwd": "/", "env": ["PATH=/bin"]},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"},
                                 {"type": "network"}]}
    })")
        .as_object();
}

/// Sets the member at "/a/b"; "/a" has to be there.
inline void set(boost::json::value& document, const std::string& pointer, const std::string& value) {
    const std::size_t slash = pointer.rfind('/');
    boost::json::value& parent = slash == 0 ? document : document.at_pointer(pointer.substr(0, slash));
    parent.as_object()[pointer.substr(slash + 1)] = boost::json::parse(value);
}

/// The minimal document with the member at the JSON pointer set.
inline std::string with(const std::string& pointer, const std::string& value) {
    boost::json::value document(minimal());
    set(document, pointer, value);
    return boost::json::serialize(document);
}

} // namespace runtime_test
