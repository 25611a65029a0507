// A text is a unit or a list of problems. A unit is the same after the store, and has one hash.
#include "base/config_reader.hpp"
#include "fleetd/unit_spec.hpp"
#include "model/records.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const fleet::UnitSpec spec = fleet::parse_unit({reinterpret_cast<const char*>(data), size}, "unit.yaml");
        const std::string hash = fleet::unit_hash(spec);
        const fleet::Unit stored = fleet::parse_unit_record(fleet::serialize_unit(spec, hash, ""), "units/x");
        if (stored.spec != spec || fleet::unit_hash(stored.spec) != hash || !fleet::valid_unit_name(spec.name))
            __builtin_trap();
    } catch (const base::ConfigError& error) {
        if (error.problems().empty())
            __builtin_trap();
    }
    return 0;
}
