"""From the stages' outputs to the run's: bands with their path, densities by shell, gap, forces. Imported when a run
ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from simdeck_quantum_espresso import analysis, stages


@calcfunction  # type: ignore[untyped-decorator]
def band_structure(bands: orm.BandsData, path: orm.KpointsData, field: orm.Dict) -> dict[str, Any]:
    """Bands along their path with its corners, and the gap."""
    energies = by_spin(bands.get_bands())
    labels = [(int(place), str(name)) for place, name in path.labels]
    breaks = analysis.path_breaks(labels)
    along = analysis.distances(path.get_kpoints(cartesian=True), breaks)
    found = field.get_dict()
    gap = analysis.find_gap(energies, found["number_of_electrons"], found.get("total_magnetization") or 0.0)
    out = orm.ArrayData()
    out.set_array("distance", along)
    out.set_array("energies", energies)
    out.set_array("kpoints", path.get_kpoints())
    out.base.attributes.set("units", {"distance": "1/Å", "energies": "eV"})
    corners = {"ticks": analysis.ticks(labels, along), "breaks": breaks, **about_gap(gap, along)}
    corners["fermi_energy"] = found.get("fermi_energy")
    # Metals are drawn from the Fermi level, insulators from the highest state that is filled.
    corners["zero"] = gap.valence if gap is not None else corners["fermi_energy"]
    return {"bands": out, "band_path": orm.Dict(corners)}


def about_gap(gap: analysis.Gap | None, along: Any = None) -> dict[str, Any]:
    """A gap in JSON."""
    if gap is None:
        return {"metal": True, "gap": None}
    told: dict[str, Any] = {
        "metal": False,
        "gap": gap.value,
        "direct_gap": gap.direct,
        "direct": gap.is_direct,
        "valence": gap.valence,
        "conduction": gap.conduction,
    }
    if along is not None:
        told |= {"valence_at": float(along[gap.at[0]]), "conduction_at": float(along[gap.at[1]])}
    return told


def by_spin(energies: np.ndarray) -> np.ndarray:
    """Bands as (spin, k, band) in either form AiiDA has them."""
    return energies if energies.ndim == 3 else energies[None]


@calcfunction  # type: ignore[untyped-decorator]
def densities(**parts: Any) -> orm.ArrayData:
    """Total and projected densities of states by spin, from the outputs of projwfc.x."""
    total = parts["total"]
    names = ["projections_up", "projections_down"] if "projections_up" in parts else ["projections"]
    energies = total.get_x()[1]
    columns = [values for _, values, _ in total.get_y()]
    out = orm.ArrayData()
    out.set_array("energies", np.asarray(energies))
    out.set_array("total", np.array(columns[: len(names)]))
    by_channel = []
    for name in names:
        orbitals = parts[name].get_pdos()
        by_channel.append(
            analysis.sum_by_shell(
                [
                    (
                        orbital.get_orbital_dict()["kind_name"].rstrip("0123456789"),
                        orbital.get_orbital_dict()["angular_momentum"],
                        density,
                    )
                    for orbital, density, _ in orbitals
                ]
            )
        )
    for shell in by_channel[0]:
        out.set_array(shell, np.array([channel[shell] for channel in by_channel]))
    out.base.attributes.set("units", {"energies": "eV", "densities": "states/eV"})
    return out


@calcfunction  # type: ignore[untyped-decorator]
def forces_of(trajectory: orm.TrajectoryData) -> orm.ArrayData:
    """Forces (eV/Å) and stress (GPa) of the last step."""
    out = orm.ArrayData()
    for name in ("forces", "stress"):
        if name in trajectory.get_arraynames():
            out.set_array(name, np.asarray(trajectory.get_array(name)[-1]))
    out.base.attributes.set("units", {"forces": "eV/Å", "stress": "GPa"})
    return out


@calcfunction  # type: ignore[untyped-decorator]
def relaxation_of(trajectory: orm.TrajectoryData) -> orm.ArrayData:
    """Positions, cells and energies by step."""
    out = orm.ArrayData()
    out.set_array("positions", trajectory.get_positions())
    if trajectory.get_cells() is not None:
        out.set_array("cells", trajectory.get_cells())
    for name, known in (("energies", "energy"), ("forces", "total_force")):
        if known in trajectory.get_arraynames():
            out.set_array(name, np.asarray(trajectory.get_array(known)))
    return out


@calcfunction  # type: ignore[untyped-decorator]
def number(properties: orm.Dict, name: orm.Str) -> orm.Float:
    """One number out of many, as a node of its own."""
    return orm.Float(properties[name.value])


@calcfunction  # type: ignore[untyped-decorator]
def gamma_phonons(parameters: orm.Dict) -> orm.Dict:
    """The wavenumbers (cm⁻¹) at Γ, rising; imaginary ones are negative."""
    body = parameters.get_dict()
    at = body.get("dynamical_matrix_1") or {}
    found = sorted(float(value) for value in at.get("frequencies", []))
    return orm.Dict(
        {"frequencies": found, "units": {"frequencies": "cm⁻¹"}, "dielectric": body.get("dielectric_constant")}
    )


@calcfunction  # type: ignore[untyped-decorator]
def summary(field: orm.Dict, settings: orm.Dict, path: orm.Dict | None = None, bands: Any = None) -> orm.Dict:
    """The numbers people ask for, and what they were computed with."""
    found = field.get_dict()
    told: dict[str, Any] = {"energy": found["energy"], "fermi_energy": found.get("fermi_energy"), **settings.get_dict()}
    told["electrons"] = found["number_of_electrons"]
    if told["magnetic"]:
        for name, known in (("moment", "total_magnetization"), ("absolute_moment", "absolute_magnetization")):
            if found.get(known) is not None:
                told[name] = found[known]
    if path is not None:
        told |= {
            name: path.get_dict().get(name)
            for name in ("metal", "gap", "direct_gap", "direct", "valence", "conduction")
        }
    elif bands is not None:
        told |= about_gap(analysis.find_gap(by_spin(bands.get_bands()), told["electrons"], told.get("moment") or 0.0))
    if told["fermi_energy"] is None:
        told["fermi_energy"] = told.get("valence")
    told["iterations"] = found.get("scf_iterations")
    told["k_points"] = found.get("number_of_k_points")
    return orm.Dict({name: value for name, value in told.items() if value is not None})


def collect(inputs: Any, context: Any) -> dict[str, Any]:
    """The run's outputs by name."""
    field = context.scf.outputs.output_parameters
    found: dict[str, Any] = {"structure": context.structure, "forces": forces_of(context.scf.outputs.output_trajectory)}
    more: dict[str, Any] = {}
    if "bands" in context:
        made = band_structure(context.bands.outputs.output_band, context.path, field)
        found |= {"bands": made["bands"], "band_path": made["band_path"]}
        more["path"] = made["band_path"]
    elif "nscf" in context:
        more["bands"] = context.nscf.outputs.output_band
    properties = summary(field, orm.Dict(_used(inputs, context)), **more)
    found["properties"] = properties
    for name in ("energy", "fermi_energy", "gap", "moment"):
        if name in properties.get_dict():
            found[name] = number(properties, orm.Str(name))
    if "projwfc" in context:
        outputs = context.projwfc.outputs
        parts = {
            name: outputs[name] for name in ("projections", "projections_up", "projections_down") if name in outputs
        }
        found["dos"] = densities(total=outputs.Dos, **parts)
    if "relaxed" in context:
        found["relaxation"] = relaxation_of(context.relaxed.outputs.output_trajectory)
    if "phonons" in context:
        found["phonons"] = gamma_phonons(context.phonons.outputs.output_parameters)
    return found


def _used(inputs: Any, context: Any) -> dict[str, Any]:
    used = stages.numbers(inputs, context.structure)
    pseudos = stages.chosen(context.structure.get_ase().get_chemical_symbols(), inputs)
    return {
        "magnetic": inputs.magnetism.value == "ferromagnetic",
        "functional": inputs.functional.value,
        "protocol": inputs.protocol.value,
        "cutoff": used.cutoff,
        "density_cutoff": used.density_cutoff,
        "mesh": list(used.mesh),
        "smearing": used.smearing,
        "width": used.width,
        "pseudopotentials": {element: one.name for element, one in pseudos.items()},
    }
