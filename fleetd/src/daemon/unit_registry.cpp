#include "daemon/unit_registry.hpp"

#include "model/records.hpp"

namespace fleet {
namespace {

constexpr int attempts = 32; ///< each lost one means that another writer got on

void check_expected(const std::string& name, const std::optional<Unit>& unit, std::optional<Revision> expected) {
    const Revision found = unit ? unit->revision() : 0;
    if (expected && *expected != found)
        throw RevisionMismatch(fmt::format("unit {} has revision {}, not {}", name, found, *expected));
}

std::vector<Condition> as_read(const std::string& name, const std::optional<Unit>& unit) {
    return {{keys::units + name, unit ? unit->spec_revision : 0},
            {keys::states + name, unit ? unit->state_revision : 0}};
}

/// `launched` again is no new launch.
UnitState next_state(const std::optional<Unit>& unit, Desired desired) {
    const std::int64_t launch = unit ? unit->launch : 0;
    const bool starts = desired == Desired::launched && !(unit && unit->desired == Desired::launched);
    return {desired, launch + (starts ? 1 : 0)};
}

[[noreturn]] void give_up(const std::string& name) {
    throw base::Error(EAGAIN, fmt::format("unit {} is being changed by others all the time", name));
}

} // namespace

std::optional<Unit> UnitRegistry::find(const std::string& name) {
    const auto spec = store_.get(keys::units + name);
    if (!spec)
        return std::nullopt;
    Unit unit = parse_unit_record(spec->value, spec->key);
    unit.spec.name = name;
    unit.spec_revision = spec->modified;
    if (const auto state = store_.get(keys::states + name)) {
        const UnitState parsed = parse_state_record(state->value, state->key);
        unit.desired = parsed.desired;
        unit.launch = parsed.launch;
        unit.state_revision = state->modified;
    }
    return unit;
}

UnitRegistry::Submitted UnitRegistry::submit(const UnitSpec& spec, const std::string& source,
                                             std::optional<Desired> desired, std::optional<Revision> expected) {
    for (int i = 0; i < attempts; ++i) {
        const auto unit = find(spec.name);
        check_expected(spec.name, unit, expected);
        std::vector<Write> writes;
        if (!unit || unit->spec != spec || unit->source != source) {
            // An unchanged specification keeps its hash, though this release may hash otherwise than the one that
            // stored it: its containers stay.
            UnitSpec before = unit ? unit->spec : UnitSpec{};
            before.replicas = spec.replicas;
            const std::string hash = unit && before == spec ? unit->hash : unit_hash(spec);
            writes.push_back({keys::units + spec.name, serialize_unit(spec, hash, source), Lifetime::durable});
        }
        const Desired wanted = desired.value_or(unit ? unit->desired : Desired::inactive);
        if (!unit || unit->state_revision == 0 || desired)
            writes.push_back({keys::states + spec.name, serialize_state(next_state(unit, wanted)), Lifetime::durable});
        if (writes.empty())
            return {unit->revision(), false, false};
        if (const auto revision = store_.commit(as_read(spec.name, unit), writes))
            return {*revision, !unit, true};
    }
    give_up(spec.name);
}

std::optional<Revision> UnitRegistry::set_desired(const std::string& name, Desired desired,
                                                  std::optional<Revision> expected) {
    for (int i = 0; i < attempts; ++i) {
        const auto unit = find(name);
        if (!unit)
            return std::nullopt;
        check_expected(name, unit, expected);
        const Write write{keys::states + name, serialize_state(next_state(unit, desired)), Lifetime::durable};
        if (const auto revision = store_.commit(as_read(name, unit), {write}))
            return revision;
    }
    give_up(name);
}

bool UnitRegistry::destroy(const std::string& name, std::optional<Revision> expected) {
    for (int i = 0; i < attempts; ++i) {
        // By the keys and not by what they say: a record that cannot be read can be destroyed too.
        const auto spec = store_.get(keys::units + name);
        if (!spec)
            return false;
        const auto state = store_.get(keys::states + name);
        if (expected)
            check_expected(name, find(name), expected);
        const std::vector<Condition> conditions{{spec->key, spec->modified},
                                                {keys::states + name, state ? state->modified : 0}};
        std::vector<Write> writes;
        for (const char* prefix : {keys::units, keys::states, keys::placements})
            writes.push_back({prefix + name, std::nullopt, Lifetime::durable});
        if (store_.commit(conditions, writes))
            return true;
    }
    give_up(name);
}

} // namespace fleet
