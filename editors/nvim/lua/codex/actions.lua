-- The server's code actions ("Codex: Fix: …", "Codex: Ask…"), as `vim.lsp.buf.code_action()` runs
-- them: in the session of the chat, which is shown.

local M = {}

---@param server codex.Server
---@param command string
---@param argument table
local function execute(server, command, argument)
  local notify = require('codex.notify')
  require('codex.sessions_open').ensure(function(failed, session)
    if failed or not session then
      notify.error(failed or 'there is no session', 'The session cannot be opened')
      return
    end
    argument.sessionId = argument.sessionId or session.id
    local params = { command = command, arguments = { argument } }
    server:request('workspace/executeCommand', params, function(err)
      if err then
        notify.error(err)
      else
        require('codex.chat').attach(session)
      end
    end)
  end)
end

---@param command {command: string, arguments: table[]?}
---@param context {client_id: integer}
local function run(command, context)
  local server = require('codex.server').of_client(context.client_id)
  if not server then
    return
  end
  local argument = vim.deepcopy((command.arguments or {})[1] or vim.empty_dict())
  if command.command ~= 'codex.ask' or argument.prompt then
    execute(server, command.command, argument)
    return
  end
  vim.ui.input({ prompt = 'Ask codex: ' }, function(prompt)
    if prompt and prompt ~= '' then
      argument.prompt = prompt
      execute(server, command.command, argument)
    end
  end)
end

--- What Neovim runs when such an action is chosen, by the command's name.
---@return table<string, function>
function M.commands()
  return {
    ['codex.explain'] = run,
    ['codex.fix'] = run,
    ['codex.addTests'] = run,
    ['codex.ask'] = run,
  }
end

return M
