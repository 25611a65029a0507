// Changes to units and their desired state, each one transaction. Two changes at once: one of them is done again on
// top of the other, or refused when it named the revision it expected.
#pragma once
#include <optional>
#include <string>

#include "base/error.hpp"
#include "fleetd/model.hpp"

namespace fleet {

/// The unit is not as the caller expected it.
class RevisionMismatch : public base::Error {
public:
    using Error::Error;
};

class UnitRegistry {
public:
    explicit UnitRegistry(Store& store) : store_(store) {}

    struct Submitted {
        Revision revision = 0; ///< the unit's
        bool created = false;
        bool changed = false;
    };

    /// nullopt: there is none.
    std::optional<Unit> find(const std::string& name);
    /// Stores a unit, or replaces its specification. `desired`: nullopt keeps what is wanted (inactive for a new one).
    Submitted submit(const UnitSpec& spec, const std::string& source, std::optional<Desired> desired,
                     std::optional<Revision> expected);
    /// The unit's revision; nullopt: there is no such unit. The same wish again makes a new revision, too, so that what
    /// failed is tried again at once.
    std::optional<Revision> set_desired(const std::string& name, Desired desired, std::optional<Revision> expected);
    /// False: there is no such unit.
    bool destroy(const std::string& name, std::optional<Revision> expected);

private:
    Store& store_;
};

} // namespace fleet
