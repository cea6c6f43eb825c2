#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <system_error>
#include <vector>

#include "audit/audit_writer.hpp"
#include "audit/merkle.hpp"
#include "audit/verification.hpp"
#include "base/cpu_features.hpp"
#include "base/errors.hpp"
#include "bindings.hpp"

namespace fastmas::bindings {
namespace {

using audit::AuditWriter;
using audit::Digest;

// Any object that offers its bytes in one piece; holds them while it lives.
class Bytes {
  public:
    explicit Bytes(py::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
    }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    ~Bytes() { PyBuffer_Release(&view_); }

    std::span<const std::byte> span() const {
        return {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
    }

  private:
    Py_buffer view_{};
};

py::bytes to_python(std::span<const std::byte> bytes) {
    return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Digest to_digest(py::handle object) {
    const Bytes bytes(object);
    Digest digest;
    if (bytes.span().size() != digest.size())
        throw base::ConfigError("a digest has 32 bytes, got " + std::to_string(bytes.span().size()));
    std::memcpy(digest.data(), bytes.span().data(), digest.size());
    return digest;
}

std::vector<Digest> to_digests(const py::iterable& objects) {
    std::vector<Digest> digests;
    for (const py::handle object : objects) digests.push_back(to_digest(object));
    return digests;
}

template <class T>
py::array_t<T> to_array(const std::vector<T>& values) {
    return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

// What Python sees of a walk: its result and, when asked for, where everything is.
struct PythonWalk {
    audit::Walk walk;
    audit::Index index;
};

std::unique_ptr<PythonWalk> walk_file(const std::string& path, bool check_hashes, bool allow_unclosed,
                                      const py::object& head, bool with_index) {
    auto result = std::make_unique<PythonWalk>();
    audit::WalkOptions options;
    options.check_hashes = check_hashes;
    options.allow_unclosed = allow_unclosed;
    if (!head.is_none()) options.head = to_digest(head);
    if (with_index) options.index = &result->index;
    options.progress = [] {
        const py::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    };
    const py::gil_scoped_release no_gil;
    audit::FileSource source(path);
    result->walk = audit::walk(source, options);
    return result;
}

py::bytes footers_of(const PythonWalk& result) {
    std::vector<std::byte> bytes(result.index.footers.size() * audit::kFooterBytes);
    std::span<std::byte> rest(bytes);
    for (const audit::Footer& footer : result.index.footers) {
        audit::write_footer(footer, rest.first<audit::kFooterBytes>());
        rest = rest.subspan(audit::kFooterBytes);
    }
    return to_python(bytes);
}

py::object root_from_path(py::handle leaf, std::uint64_t index, std::uint64_t size, const py::iterable& path) {
    const auto root = audit::root_from_path(to_digest(leaf), index, size, to_digests(path));
    return root ? py::object(to_python(*root)) : py::object(py::none());
}

py::list inclusion_path(const py::iterable& leaves, std::size_t index) {
    const std::vector<Digest> digests = to_digests(leaves);
    if (index >= digests.size())
        throw base::ConfigError("a leaf's index is below the number of leaves, got " + std::to_string(index) + " of " +
                                std::to_string(digests.size()));
    py::list path;
    for (const Digest& digest : audit::inclusion_path(digests, index)) path.append(to_python(digest));
    return path;
}

void append(AuditWriter& writer, std::uint32_t type, py::handle payload, std::uint64_t id, std::int64_t ts_ns,
            const std::vector<std::uint64_t>& causes, std::uint32_t count) {
    writer.append(id, ts_ns, type, count, causes, Bytes(payload).span());
}

// The capsule keeps the writer alive: the kernel need not know whose sink it holds.
py::object sink_of(const py::object& writer) {
    base::RecordSink* sink = writer.cast<AuditWriter*>();
    PyObject* capsule = PyCapsule_New(sink, base::kRecordSinkCapsule, [](PyObject* self) {
        Py_XDECREF(static_cast<PyObject*>(PyCapsule_GetContext(self)));
    });
    if (!capsule) throw py::error_already_set();
    const auto owned = py::reinterpret_steal<py::object>(capsule);
    if (PyCapsule_SetContext(capsule, writer.ptr()) != 0) throw py::error_already_set();
    writer.inc_ref();
    return owned;
}

// Stands in for an emitter written in C++ in benches and tests: message k has the id k and names k - 1 as its cause.
void drive(const py::object& sink, std::uint64_t messages, std::size_t payload_bytes) {
    auto* receiver = static_cast<base::RecordSink*>(PyCapsule_GetPointer(sink.ptr(), base::kRecordSinkCapsule));
    if (!receiver) throw py::error_already_set();
    std::vector<std::byte> payload(payload_bytes);
    for (std::uint64_t id = 1; id <= messages; ++id) {
        if (payload_bytes >= sizeof id) audit::store(payload.data(), id);
        const std::uint64_t cause = id - 1;
        receiver->append(id, static_cast<std::int64_t>(id), 16, 1, std::span(&cause, id > 1 ? 1 : 0), payload);
    }
}

void raise_damage(const audit::Damage& damage) {
    const py::object error = py::module_::import("fastmas.errors").attr("AuditError")(damage.what());
    error.attr("offset") = damage.offset;
    error.attr("block") = damage.block;
    error.attr("record") = damage.record;
    PyErr_SetObject(py::type::handle_of(error).ptr(), error.ptr());
}

void translate(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const audit::Damage& damage) {
        raise_damage(damage);
    } catch (const std::system_error& failure) {
        const py::object error =
            py::module_::import("fastmas.errors").attr("StorageError")(failure.code().value(), failure.what());
        PyErr_SetObject(py::type::handle_of(error).ptr(), error.ptr());
    }
}

void register_writer(py::module_& area) {
    py::class_<AuditWriter>(area, "Writer", "An audit file being written; use fastmas.audit.AuditWriter.")
        .def(py::init<const std::string&, std::string_view, bool>(), py::arg("path"), py::arg("header"),
             py::arg("sync") = false)
        .def("append", append, py::arg("type"), py::arg("payload"), py::arg("id"), py::arg("ts_ns"), py::arg("causes"),
             py::arg("count"))
        .def("flush", &AuditWriter::flush)
        .def("close", [](AuditWriter& writer) { return to_python(writer.close()); })
        .def("abandon", &AuditWriter::abandon)
        .def_static("sink_of", sink_of, py::arg("writer"))
        .def_property_readonly("closed", &AuditWriter::closed)
        .def_property_readonly("head", [](const AuditWriter& writer) { return to_python(writer.head()); })
        .def_property_readonly("records", &AuditWriter::records)
        .def_property_readonly("blocks", &AuditWriter::blocks);
}

void register_walk(py::module_& area) {
    py::class_<PythonWalk>(area, "Walk", "What a walk through an audit file found.")
        .def_property_readonly("json", [](const PythonWalk& self) { return py::bytes(self.walk.header.json); })
        .def_property_readonly("header_bytes", [](const PythonWalk& self) { return self.walk.header.bytes; })
        .def_property_readonly("header_hash", [](const PythonWalk& self) { return to_python(self.walk.header.hash); })
        .def_property_readonly("closed", [](const PythonWalk& self) { return self.walk.closed; })
        .def_property_readonly("blocks", [](const PythonWalk& self) { return self.walk.blocks; })
        .def_property_readonly("records", [](const PythonWalk& self) { return self.walk.records; })
        .def_property_readonly("head", [](const PythonWalk& self) { return to_python(self.walk.head); })
        .def_property_readonly("sealed_bytes", [](const PythonWalk& self) { return self.walk.sealed_bytes; })
        .def_property_readonly("file_bytes", [](const PythonWalk& self) { return self.walk.file_bytes; })
        .def_property_readonly("tail", [](const PythonWalk& self) { return self.walk.tail; })
        .def_property_readonly("offsets", [](const PythonWalk& self) { return to_array(self.index.offsets); })
        .def_property_readonly("ids", [](const PythonWalk& self) { return to_array(self.index.ids); })
        .def_property_readonly("types", [](const PythonWalk& self) { return to_array(self.index.types); })
        .def_property_readonly("counts", [](const PythonWalk& self) { return to_array(self.index.counts); })
        .def_property_readonly("footers", footers_of);
    area.def("walk", walk_file, py::arg("path"), py::kw_only(), py::arg("check_hashes") = true,
             py::arg("allow_unclosed") = false, py::arg("head") = py::none(), py::arg("with_index") = false);
}

void register_hashes(py::module_& area) {
    area.def(
        "sha256", [](py::handle data) { return to_python(base::sha256(Bytes(data).span())); }, py::arg("data"));
    area.def(
        "crc32c", [](py::handle data, std::uint32_t previous) { return audit::crc32c(Bytes(data).span(), previous); },
        py::arg("data"), py::arg("previous") = 0);
    area.def(
        "leaf_hash", [](py::handle data) { return to_python(audit::leaf_hash(Bytes(data).span())); }, py::arg("data"));
    area.def(
        "merkle_root", [](const py::iterable& leaves) { return to_python(audit::merkle_root(to_digests(leaves))); },
        py::arg("leaves"));
    area.def("inclusion_path", inclusion_path, py::arg("leaves"), py::arg("index"));
    area.def("root_from_path", root_from_path, py::arg("leaf"), py::arg("index"), py::arg("size"), py::arg("path"));
    area.def(
        "chain_head",
        [](py::handle previous, std::uint64_t block, std::uint32_t count, py::handle root) {
            return to_python(audit::chain_head(to_digest(previous), block, count, to_digest(root)));
        },
        py::arg("previous"), py::arg("block"), py::arg("count"), py::arg("root"));
    area.def("cpu_features", base::cpu_features);
    area.def("drive", drive, py::arg("sink"), py::arg("messages"), py::arg("payload_bytes"));
}

}  // namespace

void register_audit(py::module_& module) {
    py::module_ area = module.def_submodule("audit", "Audit files: hashes, writer, walker.");
    py::register_local_exception_translator(translate);
    register_hashes(area);
    register_writer(area);
    register_walk(area);
}

}  // namespace fastmas::bindings
