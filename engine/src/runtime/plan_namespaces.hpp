// The plan's namespaces: which are made by the clone, which by the child, which are joined.
#pragma once
#include "runtime/plan.hpp"

namespace engine::runtime {

/// Opens those to join, each checked to be a namespace of its type, and not the runtime's own when something is set in
/// it. Throws base::Error.
void plan_namespaces(const Config& config, ContainerPlan& plan);

} // namespace engine::runtime
