-- The user commands. Each of them only reads its arguments and calls the module that does it.

local M = {}

---@param names string[]
---@param start string
---@return string[]
local function among(names, start)
  return vim.tbl_filter(function(name)
    return vim.startswith(name, start)
  end, names)
end

---@class codex.Command
---@field desc string
---@field run fun(args: table)
---@field opts table? of `nvim_create_user_command`

---@type table<string, codex.Command>
local commands = {
  Codex = {
    desc = 'Open the chat; with a text, send it; with a range, send that along',
    opts = { nargs = '*', range = true },
    run = function(args)
      require('codex').open({
        prompt = args.args ~= '' and args.args or nil,
        range = args.range > 0 and { args.line1, args.line2 } or nil,
      })
    end,
  },
  CodexNew = {
    desc = 'Begin a new session in the chat',
    run = function()
      require('codex').new()
    end,
  },
  CodexStop = {
    desc = 'Interrupt the turn',
    run = function()
      require('codex').stop()
    end,
  },
  CodexApprove = {
    desc = 'Answer the question that has waited longest',
    run = function()
      require('codex').approve()
    end,
  },
  CodexSessions = {
    desc = 'Find, resume, fork, rename, archive, export or delete a saved session',
    opts = { nargs = '*' },
    run = function(args)
      require('codex').sessions({ query = args.args ~= '' and args.args or nil })
    end,
  },
  CodexResume = {
    desc = 'Go on with a saved session: an id, or the last one',
    opts = {
      nargs = '?',
      complete = function(start)
        return require('codex.sessions').complete(start)
      end,
    },
    run = function(args)
      if args.args == '' then
        require('codex').sessions({})
      else
        require('codex').resume(args.args)
      end
    end,
  },
  CodexModel = {
    desc = 'Choose the model of the session',
    opts = { nargs = '?' },
    run = function(args)
      require('codex.model').pick(args.args ~= '' and args.args or nil)
    end,
  },
  CodexPolicy = {
    desc = 'Choose what the session may do, and what it asks about',
    opts = {
      nargs = '?',
      complete = function(start)
        return among(require('codex.policy').names(), start)
      end,
    },
    run = function(args)
      require('codex.policy').pick(args.args ~= '' and args.args or nil)
    end,
  },
  CodexDiff = {
    desc = 'Show all that the turn has changed',
    run = function()
      require('codex.diff').open()
    end,
  },
  CodexLog = {
    desc = 'Open the log',
    run = function()
      require('codex.log').open()
    end,
  },
}

--- Define the commands.
function M.define()
  for name, command in pairs(commands) do
    local opts = vim.tbl_extend('error', { desc = command.desc }, command.opts or {})
    vim.api.nvim_create_user_command(name, command.run, opts)
  end
end

return M
