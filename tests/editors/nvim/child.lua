-- A second, real Neovim that is driven key by key, as a user does it: Neovim makes a step to undo
-- of what happens between keys, and under `-l` there are none.

local Child = {}
Child.__index = Child

---@param here string the folder of these files
function Child.start(here)
  local command = { vim.v.progpath, '--embed', '--headless', '--clean', '-n', '-i', 'NONE' }
  local self = setmetatable({ channel = vim.fn.jobstart(command, { rpc = true }) }, Child)
  assert(self.channel > 0, 'Neovim did not start')
  self:lua('Codex = dofile(...)', here .. '/codex.lua')
  return self
end

--- Run Lua in it; the result.
function Child:lua(code, ...)
  return vim.rpcrequest(self.channel, 'nvim_exec_lua', code, { ... })
end

--- Press keys, and wait until they are handled.
function Child:type(keys)
  vim.rpcrequest(self.channel, 'nvim_input', keys)
  vim.rpcrequest(self.channel, 'nvim_eval', '1')
end

--- Wait until a Lua expression is true there.
function Child:wait(expression)
  local done = vim.wait(8000, function()
    return self:lua('return (' .. expression .. ') and true or false')
  end, 10)
  if not done then
    local state = self:lua('return vim.inspect({ Codex.events, Codex.refused, Codex.exit })')
    error(expression .. ' never came true; so far: ' .. state, 2)
  end
end

--- The lines of a buffer, the current one if none is named.
---@param name string?
---@return string[]
function Child:lines(name)
  return self:lua('return vim.api.nvim_buf_get_lines(vim.fn.bufnr(...), 0, -1, true)', name or '%')
end

--- Ask the model something, from the command line as users do, and wait for the turn's end.
---@param text string
---@param path string?
function Child:turn(text, path)
  self:ask(text, path)
  self:wait_for_turn()
end

function Child:ask(text, path)
  self.turns = (self.turns or 0) + 1
  local arguments = path and ('%q, %q'):format(text, path) or ('%q'):format(text)
  self:type((':lua Codex.say(%s)<CR>'):format(arguments))
end

function Child:wait_for_turn()
  self:wait(('Codex.count("task_complete") == %d'):format(self.turns))
end

--- Open a file, and start the server for it.
function Child:open(path, options)
  self:lua('vim.cmd.edit(vim.fn.fnameescape(...))', path)
  self:lua('Codex.start(...)', options or vim.empty_dict())
  self:wait('Codex.session')
end

--- End the server as Neovim does when it is left; its exit code.
function Child:stop()
  self:lua('Codex.client:stop()')
  self:wait('Codex.exit')
  local exit = self:lua('return Codex.exit')
  vim.rpcnotify(self.channel, 'nvim_command', 'qall!')
  vim.fn.jobwait({ self.channel }, 2000)
  return exit
end

return Child
