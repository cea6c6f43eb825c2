// A value that is rarely there, out of the way of those that are.
#pragma once

#include <memory>
#include <utility>

namespace fastmas::base {

// Holds a T, by default a T{}, on the heap once it is written to: as large as a pointer, copied as a value. Reading one
// that was never written to gives a T{}. Not thread-safe.
template <class T>
class Boxed {
  public:
    Boxed() noexcept = default;
    Boxed(const Boxed& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
    Boxed(Boxed&&) noexcept = default;
    Boxed& operator=(const Boxed& other) {
        if (this == &other || (!value_ && !other.value_)) return *this;
        value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
        return *this;
    }
    Boxed& operator=(Boxed&&) noexcept = default;
    Boxed& operator=(T value) {
        value_ = std::make_unique<T>(std::move(value));
        return *this;
    }
    ~Boxed() = default;

    void reset() noexcept { value_.reset(); }
    T& operator*() {
        if (!value_) value_ = std::make_unique<T>();
        return *value_;
    }
    T* operator->() { return &**this; }
    const T& operator*() const noexcept {
        static const T kEmpty{};
        return value_ ? *value_ : kEmpty;
    }
    const T* operator->() const noexcept { return &**this; }

    friend bool operator==(const Boxed& a, const Boxed& b) { return *a == *b; }

  private:
    std::unique_ptr<T> value_;
};

}  // namespace fastmas::base
