#include "daemon/input_watch.hpp"

#include "model/records.hpp"

namespace fleet {

// After revision 0, so that nothing before the first look is missed: the first wait says "list again".
InputWatch::InputWatch(Store& store) : watch_(store.watch("", 0)) {}

void InputWatch::wait(std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        const auto changes = watch_->next(std::max(left, std::chrono::milliseconds(0)));
        if (!changes || changes->empty())
            return;
        for (const Change& change : *changes) {
            // A host that comes or goes matters; what it reports every few seconds does not.
            if (!change.key.starts_with(keys::reports))
                return;
        }
    }
}

} // namespace fleet
