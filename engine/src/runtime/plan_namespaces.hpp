// The plan's namespaces: which are made by the clone, which by the child, which are joined.
#pragma once
#include "runtime/plan.hpp"

namespace engine::runtime {

/// Opens those to join, each checked to be a namespace of its type. Throws base::Error.
void plan_namespaces(const Linux& linux_part, ContainerPlan& plan);

} // namespace engine::runtime
