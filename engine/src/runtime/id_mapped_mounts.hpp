// Mounts whose files' owners are mapped (mount_setattr(2), MOUNT_ATTR_IDMAP).
//
// The kernel takes the mapping from a user namespace, and allows it to who is privileged over the file system: for what
// is bound from the host that is the runtime and never the child in its user namespace. So the runtime makes the
// namespaces and the mapped trees, not yet mounted anywhere, and the child mounts them.
#pragma once
#include "runtime/plan.hpp"

namespace engine::runtime {

/// Sets `id_map`, and of bind mounts `tree`, of the plan's id-mapped mounts. Throws base::Error.
void prepare_id_mapped_mounts(ContainerPlan& plan);

} // namespace engine::runtime
