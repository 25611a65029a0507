// Text that we take as JSON is taken again after it was written out.
#include "base/error.hpp"
#include "base/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    base::json::value value;
    try {
        value = base::parse_json(text, "x.json");
    } catch (const base::Error&) {
        return 0;
    }
    base::parse_json(base::json::serialize(value), "again");
    return 0;
}
