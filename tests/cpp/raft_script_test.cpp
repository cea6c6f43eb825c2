// Traces as expectations: each file of raft_scripts/ holds commands, and indented under each what it did.
//
//   raft_script_test             compares
//   raft_script_test --rewrite   writes what happens now; read the diff before you commit it
//
//   nodes N [plain|lease]  N nodes; plain: without pre-vote and check-quorum; lease: with a lease of 5 ticks of 100 ns
//   stand ID               ticks the node until it asks for votes
//   tick ID TIMES
//   propose ID TEXT
//   join ID                a node in none of the lists
//   members ID VOTER ... [learners ID ...] [witnesses ID ...]    the leader changes the members to these
//   transfer ID TO
//   read ID CONTEXT, lease ID CONTEXT
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

std::string text_of(const std::vector<NodeId>& nodes) {
    std::string text;
    for (const NodeId id : nodes) text += (text.empty() ? "" : ",") + std::to_string(id);
    return text;
}

std::string describe(const Membership& members) {
    std::string text = "{" + text_of(members.voters);
    if (members.is_joint()) text += " was " + text_of(members.outgoing);
    if (!members.learners.empty()) text += " learners " + text_of(members.learners);
    if (!members.witnesses.empty()) text += " witnesses " + text_of(members.witnesses);
    return text + "}";
}

std::string members_of(const Entry& entry) {
    Membership members;
    return decode(entry.command.bytes(), members) ? describe(members) : "?";
}

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
                << (entry.kind == EntryKind::membership ? members_of(entry) : std::string(entry.command.text()));
        out << " ]";
        if (message.round != 0) out << " round " << message.round;
    }
    if (message.force) out << " forced";
    if (message.type == MessageType::append_reply) out << (message.reject ? " refuses " : " has ") << message.index;
    if (message.type == MessageType::append_reply && message.round != 0) out << " round " << message.round;
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
            if (kind == "lease")
                config_ = [](NodeId id, std::size_t nodes) {
                    RaftConfig config = config_of(id, nodes);
                    config.lease_ns = 500;
                    return config;
                };
            founders_ = count;
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
            for (; times > 0; --times) {
                rig_->at(id)->tick(clock_ns_ += 100);
                rig_->collect();
            }
        } else if (verb == "join") {
            rig_->nodes.emplace(id, Driven(joining(id)));
        } else if (verb == "members") {
            Membership target;
            auto* list = &target.voters;
            for (std::string word; in >> word;) {
                if (word == "learners" || word == "witnesses")
                    list = word == "learners" ? &target.learners : &target.witnesses;
                else
                    list->push_back(static_cast<NodeId>(std::stoul(word)));
            }
            note(rig_->at(id)->change_membership(target, 0).status);
        } else if (verb == "transfer") {
            NodeId to = kNoNode;
            in >> to;
            note(rig_->at(id)->transfer_leadership(to));
            rig_->collect();
        } else if (verb == "read" || verb == "lease") {
            std::uint64_t context = 0;
            in >> context;
            RaftNode& node = *rig_->at(id).node;
            const ReadStatus status = verb == "read" ? node.read(context) : node.lease_read(context, clock_ns_);
            if (status != ReadStatus::registered) lines_.push_back("refused: it does not lead");
            rig_->collect();
        } else if (verb == "propose") {
            std::string text;
            in >> text;
            note(rig_->at(id)->propose(Payload(std::string_view(text)), {}, 0).status);
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
            rig_->nodes.at(id) = Driven(id <= founders_ ? config_(id, founders_) : joining(id), std::move(stored));
        } else if (verb == "compact") {
            RaftNode& node = *rig_->at(id).node;
            node.compact(node.applied_index(), Payload("state"));
            rig_->at(id).disk.compact(node.snapshot());
            rig_->collect();
        } else if (verb == "show") {
            for (auto& [number, node] : rig_->nodes) show(number, node);
        } else {
            lines_.push_back("unknown command");
        }
        show_reads();
        return lines_;
    }

  private:
    RaftConfig joining(NodeId id) const {
        RaftConfig config = config_(1, founders_);
        config.id = id;
        config.joining = true;
        return config;
    }
    void note(ProposeStatus status) {
        if (status == ProposeStatus::not_leader) lines_.push_back("refused: it does not lead");
        if (status == ProposeStatus::busy) lines_.push_back("busy");
    }
    void show_reads() {
        for (auto& [id, node] : rig_->nodes) {
            for (const ReadState& read : node.reads)
                lines_.push_back(std::to_string(id) + ": read " + std::to_string(read.context) +
                                 (read.is_confirmed ? " as of " + std::to_string(read.index) : " is not confirmed") +
                                 (!read.is_confirmed || read.valid_until_ns == INT64_MAX
                                      ? ""
                                      : " until " + std::to_string(read.valid_until_ns)));
            node.reads.clear();
        }
    }
    void show(NodeId id, Driven& node) {
        std::ostringstream out;
        out << id << ": " << to_string(node->role()) << " term " << node->term() << " vote " << node->vote()
            << " commit " << node->commit_index() << " log";
        if (node->log().snapshot_index() != 0) out << " <" << node->log().snapshot_index() << ">";
        for (const Term term : terms_of(*node.node)) out << " " << term;
        if (node->membership().id != 0) out << " members " << describe(node->membership());
        if (!node.commands().empty()) out << " applied " << node.commands();
        std::string text = out.str();
        while (text.back() == ' ') text.pop_back();
        lines_.push_back(text);
    }

    std::function<RaftConfig(NodeId, std::size_t)> config_ = plain_config;
    std::size_t founders_ = 0;
    std::int64_t clock_ns_ = 0;
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
