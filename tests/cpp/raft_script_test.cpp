// Traces as expectations: each file of raft_scripts/ holds commands, and indented under each what it did.
//
//   raft_script_test             compares
//   raft_script_test --rewrite   writes what happens now; read the diff before you commit it
//
//   nodes N [plain]        N nodes; plain: without pre-vote and check-quorum
//   stand ID               ticks the node until it asks for votes
//   tick ID TIMES
//   propose ID TEXT
//   deliver [ID ...]       everything under way, but only between these nodes; the rest is lost
//   restart ID             with what its disk holds
//   compact ID             up to what it applied
//   show                   every node
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::Payload;

namespace {

std::string describe(const Message& message) {
    std::ostringstream out;
    out << message.from << "->" << message.to << " " << to_string(message.type) << " term " << message.term;
    if (message.type == MessageType::append || message.type == MessageType::vote ||
        message.type == MessageType::pre_vote)
        out << " after " << message.index << "/" << message.log_term;
    if (message.type == MessageType::append) {
        out << " commit " << message.commit << " [";
        for (const Entry& entry : message.entries)
            out << " " << entry.index << "/" << entry.term << (entry.kind == EntryKind::noop ? "" : ":")
                << entry.command.text();
        out << " ]";
    }
    if (message.type == MessageType::append_reply) out << (message.reject ? " refuses " : " has ") << message.index;
    if (message.type == MessageType::append_reply && message.reject)
        out << " hint " << message.hint_index << "/" << message.hint_term;
    if (message.type == MessageType::vote_reply || message.type == MessageType::pre_vote_reply)
        out << (message.reject ? " no" : " yes");
    if (message.type == MessageType::snapshot)
        out << " of " << message.snapshot->index << "/" << message.snapshot->term;
    return out.str();
}

class Script {
  public:
    // What the command did, a line each.
    std::vector<std::string> run(const std::string& line) {
        std::istringstream in(line);
        std::string verb;
        in >> verb;
        lines_.clear();
        if (verb == "nodes") {
            std::size_t count = 0;
            std::string kind;
            in >> count >> kind;
            config_ = kind == "plain" ? plain_config : config_of;
            rig_ = std::make_unique<Rig>(count, config_);
            return lines_;
        }
        NodeId id = kNoNode;
        if (verb != "deliver" && verb != "show") in >> id;
        if (verb == "stand") {
            rig_->at(id).time_out();
            rig_->collect();
        } else if (verb == "tick") {
            int times = 0;
            in >> times;
            rig_->at(id).tick(times);
            rig_->collect();
        } else if (verb == "propose") {
            std::string text;
            in >> text;
            rig_->propose(id, text);
            rig_->collect();
        } else if (verb == "deliver") {
            std::vector<NodeId> reachable;
            for (NodeId one = 0; in >> one;) reachable.push_back(one);
            const auto among = Rig::among(reachable);
            rig_->run([&](const Message& message) {
                const bool passes = reachable.empty() || among(message);
                lines_.push_back(describe(message) + (passes ? "" : " lost"));
                return passes;
            });
        } else if (verb == "restart") {
            PersistentState stored = rig_->at(id).disk.load();
            rig_->nodes.at(id) = Driven(config_(id, rig_->nodes.size()), std::move(stored));
        } else if (verb == "compact") {
            RaftNode& node = *rig_->at(id).node;
            node.compact(node.applied_index(), Payload("state"));
            rig_->at(id).disk.compact(node.snapshot());
        } else if (verb == "show") {
            for (auto& [number, node] : rig_->nodes) show(number, node);
        } else {
            lines_.push_back("unknown command");
        }
        return lines_;
    }

  private:
    void show(NodeId id, Driven& node) {
        std::ostringstream out;
        out << id << ": " << to_string(node->role()) << " term " << node->term() << " vote " << node->vote()
            << " commit " << node->commit_index() << " log";
        if (node->log().snapshot_index() != 0) out << " <" << node->log().snapshot_index() << ">";
        for (const Term term : terms_of(*node.node)) out << " " << term;
        if (!node.commands().empty()) out << " applied " << node.commands();
        std::string text = out.str();
        while (text.back() == ' ') text.pop_back();
        lines_.push_back(text);
    }

    std::function<RaftConfig(NodeId, std::size_t)> config_ = plain_config;
    std::unique_ptr<Rig> rig_;
    std::vector<std::string> lines_;
};

}  // namespace

int main(int argc, char** argv) {
    const bool rewrite = argc > 1 && std::string(argv[1]) == "--rewrite";
    const auto folder = std::filesystem::path(__FILE__).parent_path() / "raft_scripts";
    int files = 0, failed = 0;
    for (const auto& item : std::filesystem::directory_iterator(folder)) {
        if (item.path().extension() != ".txt") continue;
        ++files;
        std::ifstream in(item.path());
        std::string expected, actual, line;
        Script script;
        while (std::getline(in, line)) {
            expected += line + "\n";
            if (line.rfind("    ", 0) == 0) continue;
            actual += line + "\n";
            if (line.empty() || line[0] == '#') continue;
            for (const std::string& one : script.run(line)) actual += "    " + one + "\n";
        }
        if (rewrite) std::ofstream(item.path()) << actual;
        if (rewrite || actual == expected) continue;
        ++failed;
        std::cerr << "FAILED " << item.path().filename().string() << "; what happened:\n" << actual;
    }
    std::cout << files - failed << " scripts as expected, " << failed << " not\n";
    return files > 0 && failed == 0 ? 0 : 1;
}
