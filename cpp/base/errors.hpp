// The errors of the core. The bindings turn each into the class of the same name in fastmas.errors.
#pragma once

#include <stdexcept>

namespace fastmas::base {

// The caller asked for something that can never work: says the rule, the value given and the cure.
struct ConfigError : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

// Something that cannot happen happened: the object that throws it is poisoned and throws it from then on.
struct InvariantError : std::logic_error {
    using std::logic_error::logic_error;
};

}  // namespace fastmas::base
