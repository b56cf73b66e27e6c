"""The kernel of the course: always the Python that runs the course."""

from __future__ import annotations

from ipykernel.kernelspec import KERNEL_NAME, RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager


class CourseKernels(KernelSpecManager):
    """Kernel specs where `python3` is this environment's Python, whatever is installed under that name.

    A `python3` spec in the user's own Jupyter folder often points to another environment, which
    has no course in it.
    """

    def find_kernel_specs(self) -> dict[str, str]:
        return {**super().find_kernel_specs(), KERNEL_NAME: RESOURCES}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        if kernel_name in (KERNEL_NAME, "python"):
            return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())
        return super().get_kernel_spec(kernel_name)
