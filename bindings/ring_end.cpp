#include "ring_end.hpp"

#include <pthread.h>

#include <array>
#include <cstdio>
#include <mutex>
#include <set>

#include "python_errors.hpp"

namespace fastmas::bindings {

using ringbuffer::RoleState;

// The ends of this process that a child made by fork() must not use.
struct SharedEnds {
    std::mutex mutex;
    std::set<RingEnd*> ends;

    static SharedEnds& instance() {
        static SharedEnds* const all = [] {
            auto* made = new SharedEnds;
            pthread_atfork([] { instance().mutex.lock(); }, [] { instance().mutex.unlock(); },
                           [] {
                               instance().forget_in_child();
                               instance().mutex.unlock();
                           });
            return made;
        }();
        return *all;
    }

    void forget_in_child() noexcept {
        for (RingEnd* end : ends) {
            end->state_ = RingEnd::State::forked;
            end->set_gates();
        }
    }
};

RingEnd::RingEnd(RingFormat&& held, std::shared_ptr<RingMemory> owned, WaitStrategy strategy, RingEnd* host)
    : format(std::move(held)),
      header(&owned->header()),
      waiting{strategy, owned->segment() != nullptr},
      memory_(std::move(owned)),
      host_(host) {
    if (!shared()) return;
    SharedEnds& all = SharedEnds::instance();
    const std::lock_guard lock(all.mutex);
    all.ends.insert(this);
}

RingEnd::~RingEnd() {
    close();
    for (PyObject* root : roots_) Py_XDECREF(root);
    Py_XDECREF(keeper_);
    if (!shared()) return;
    SharedEnds& all = SharedEnds::instance();
    const std::lock_guard lock(all.mutex);
    all.ends.erase(this);
}

RoleState RingEnd::take(Role role, std::string_view holder_name) {
    const RoleState before = memory_->segment()->take(role, holder_name);
    announce(role);
    return before;
}

RoleState RingEnd::take_any(Side side, std::string_view holder_name) {
    RoleState before{};
    announce(memory_->segment()->take_any(side, holder_name, &before));
    return before;
}

void RingEnd::announce(Role role) noexcept {
    role_ = role;
    if (!waiting.sleeps()) return;
    auto& sleepers = role.side() == Side::consumer ? header->consumers_sleep : header->producers_sleep;
    sleepers.store(1, std::memory_order_relaxed);  // [R3 relaxed] for the reason in notify_at()
}

bool RingEnd::holds(Side side) const noexcept {
    return !shared() || (role_ && role_->side() == side);
}

void RingEnd::bind(RingObject* object) noexcept {
    object_ = object;
    object->end = this;
    set_gates();
}

void RingEnd::set_gates() noexcept {
    if (object_ == nullptr) return;
    const auto gate = [&](Side side) {
        return open() && holds(side) && !lent_[static_cast<int>(side)] ? this : nullptr;
    };
    // [R1 relaxed] for the reason in pushing()
    object_->pushing.store(gate(Side::producer), std::memory_order_relaxed);
    // [R1 relaxed] for the reason in pushing()
    object_->popping.store(gate(Side::consumer), std::memory_order_relaxed);
}

void RingEnd::leave() noexcept {
    if (!open()) return;
    state_ = State::closed;
    set_gates();
    leaving();
    if (shared()) {
        if (host_ == nullptr)
            memory_->segment()->close();
        else if (role_)
            memory_->segment()->leave(*role_);
    }
    notify_readable();
    notify_writable();
}

void RingEnd::close() noexcept {
    const LifeGuard guard(life());
    leave();
}

void RingEnd::lend(Side side) noexcept {
    const LifeGuard guard(life());
    lent_[static_cast<int>(side)] = true;
    set_gates();
}

void RingEnd::take_back(Side side) noexcept {
    const LifeGuard guard(life());
    lent_[static_cast<int>(side)] = false;
    set_gates();
}

void RingEnd::keep_lent(Side side, PyObject* root) noexcept {
    Py_XSETREF(roots_[static_cast<int>(side)], root);
}

bool RingEnd::regain(Side side) {
    PyObject*& root = roots_[static_cast<int>(side)];
    if (root != nullptr && Py_REFCNT(root) == 1) {
        Py_CLEAR(root);
        take_back(side);
    }
    if (open() && holds(side) && !lent_[static_cast<int>(side)]) return true;
    refuse(side);
    return false;
}

PyObject* RingEnd::wake_readers(PyObject* result) const noexcept {
    notify(header->readable, waiting.shared);
    return result;
}

PyObject* RingEnd::wake_writers(PyObject* result) const noexcept {
    notify(header->writable, waiting.shared);
    return result;
}

PyObject* RingEnd::keeper() {
    const LifeGuard guard(life());
    if (keeper_ != nullptr) return keeper_;
    auto held = std::make_unique<std::shared_ptr<RingMemory>>(memory_);
    keeper_ = PyCapsule_New(held.get(), nullptr, [](PyObject* self) {
        delete static_cast<std::shared_ptr<RingMemory>*>(PyCapsule_GetPointer(self, nullptr));
    });
    if (keeper_ != nullptr) held.release();
    return keeper_;
}

std::string RingEnd::called() const {
    return shared() ? "ring '" + memory_->segment()->name() + "'" : "the ring";
}

RoleState RingEnd::state_of(Role role) const noexcept {
    return shared() ? memory_->segment()->state_of(role) : RoleState::alive;
}

RoleState RingEnd::peer_state() const noexcept {
    return state_of(shared() && holds(Side::producer) ? Role::consumer(0) : Role::producer(0));
}

PyObject* RingEnd::raise_full(PyObject* timeout_s) const {
    return raise("DeadlineError",
                 "the ring of %lld records stayed full for %S s; pop from it or give a longer timeout_s",
                 static_cast<long long>(memory_->spec().shape.capacity), timeout_s);
}

void RingEnd::raise_dead(Role role) const {
    raise("PeerDeadError",
          "the %s of %s died: process %d ended without closing it; start another, which goes on where that one stopped",
          role.side() == Side::producer ? "producer" : "consumer", called().c_str(),
          static_cast<int>(memory_->segment()->pid_of(role)));
}

bool RingEnd::only_dead_after(std::int64_t pushed) {
    if (pushed == 0 || !is_raised("PeerDeadError")) return false;
    PyErr_Clear();
    return true;
}

void RingEnd::note_pushed(std::int64_t pushed, std::int64_t of) noexcept {
    if (pushed == 0) return;
    std::array<char, 96> note{};
    std::snprintf(note.data(), note.size(), "%lld of %lld records were in already (records_pushed)",
                  static_cast<long long>(pushed), static_cast<long long>(of));
    add_progress("records_pushed", pushed, note.data());
}

PyObject* RingEnd::refuse(Side side) const {
    const bool produces = side == Side::producer;
    const std::string name = called();
    if (state() == State::forked)
        return raise("ConfigError", "%s was opened before this process was forked off; attach to it here",
                     name.c_str());
    if (state() == State::closed)
        return raise("ConfigError", "%s is closed; %s", name.c_str(),
                     shared() ? "attach to it or create it again" : "make another one");
    if (!holds(side)) {
        const char* held = !role_ ? "no role" : produces ? "the role 'consumer'" : "the role 'producer'";
        return raise("ConfigError", "this end of %s has %s and cannot %s; use the other end, or attach with role='%s'",
                     name.c_str(), held, produces ? "push" : "pop", produces ? "producer" : "consumer");
    }
    const char* verb = produces ? "claim" : "peek";
    if (roots_[static_cast<int>(side)] != nullptr)
        return raise("ConfigError",
                     "%s has lent slots by %s(), and something still refers to that view (a slice, a row, a name); "
                     "delete it first",
                     name.c_str(), verb);
    return raise("ConfigError", "%s has lent slots by %s(); leave that with block first", name.c_str(), verb);
}

PyObject* new_ring_object(PyTypeObject* type, std::unique_ptr<RingEnd> end) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self != nullptr) end.release()->bind(as_ring(self));
    return self;
}

// A class may refer to a ring of its own records; that cycle is broken in the class, so there is no tp_clear here.
int traverse_ring_object(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (const RingEnd* end = as_ring(self)->end; end != nullptr) Py_VISIT(end->format.record_type);
    return 0;
}

void dealloc_ring_object(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    delete as_ring(self)->end;
    type->tp_free(self);
    Py_DECREF(type);
}

}  // namespace fastmas::bindings
