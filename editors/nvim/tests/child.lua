-- A second, real Neovim that is driven key by key, as a person does it: under `-l` there is no
-- insert mode, and no step to undo between keys.

local Child = {}
Child.__index = Child

local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')

---@class ChildOptions
---@field columns integer? 100
---@field lines integer? 30
---@field args string[]? more arguments, such as files to open
---@field setup table? options for `require('codex').setup`

---@param options ChildOptions?
function Child.start(options)
  options = options or {}
  local command = { vim.v.progpath, '--embed', '--headless', '--clean', '-n', '-i', 'NONE' }
  vim.list_extend(command, { '-u', here .. '/minimal_init.lua' })
  vim.list_extend(command, options.args or {})
  local self = setmetatable({ channel = vim.fn.jobstart(command, { rpc = true }) }, Child)
  assert(self.channel > 0, 'Neovim did not start')
  require('support').on_clean(function()
    self:stop()
  end)
  self:lua('vim.o.columns, vim.o.lines = ...', options.columns or 100, options.lines or 30)
  -- What would be lost without a screen: messages wait for no key.
  self:lua([[
    vim.o.more = false
    _G.notices = {}
    local notify = vim.notify
    vim.notify = function(text, level, opts)
      table.insert(_G.notices, text)
      return notify(text, level, opts)
    end
  ]])
  self:lua('require("codex").setup(...)', options.setup or vim.empty_dict())
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

--- Type an Ex command as a person does.
function Child:command(text)
  self:type((':%s<CR>'):format(text:gsub('<', '<lt>')))
end

--- The mode that it is in: 'n', 'i', ...
---@return string
function Child:mode()
  return vim.rpcrequest(self.channel, 'nvim_get_mode').mode
end

--- Wait until a Lua expression is true there; its value.
---@param expression string
function Child:wait(expression, timeout_ms)
  local value
  local done = vim.wait(timeout_ms or 30000, function()
    -- A person who is asked something (a prompt, "Press ENTER") keeps Neovim from answering.
    value = self:lua('return ' .. expression)
    return value ~= nil and value ~= vim.NIL and value ~= false
  end, 10)
  if not done then
    error(('%s never came true; the screen:\n%s'):format(expression, self:screen()), 2)
  end
  return value
end

--- Wait until a text is on the screen; the screen.
function Child:wait_for_text(text, timeout_ms)
  local screen
  local done = vim.wait(timeout_ms or 30000, function()
    screen = self:screen()
    return screen:find(text, 1, true) ~= nil
  end, 10)
  if not done then
    error(('%q never came; the screen:\n%s'):format(text, screen), 2)
  end
  return screen
end

--- The screen as text.
---@return string
function Child:screen()
  return self:lua([[
    vim.cmd('redraw')
    local out = {}
    for row = 1, vim.o.lines do
      local line = {}
      for column = 1, vim.o.columns do
        line[column] = vim.fn.screenstring(row, column)
      end
      out[row] = (table.concat(line):gsub('%s+$', ''))
    end
    return table.concat(out, '\n')
  ]])
end

--- Write the screen into the folder that $CODEX_SCREENS names, if it does, to be looked at.
---@param name string
function Child:dump(name)
  if vim.env.CODEX_SCREENS then
    local path = ('%s/%s.txt'):format(vim.env.CODEX_SCREENS, name)
    vim.fn.writefile(vim.split(self:screen(), '\n'), path)
  end
end

--- The lines of a buffer, the current one if none is named.
---@param name string?
---@return string[]
function Child:lines(name)
  return self:lua('return vim.api.nvim_buf_get_lines(vim.fn.bufnr(...), 0, -1, true)', name or '%')
end

--- Leave it.
function Child:stop()
  if self.stopped then
    return
  end
  self.stopped = true
  pcall(vim.rpcnotify, self.channel, 'nvim_command', 'qall!')
  if vim.fn.jobwait({ self.channel }, 3000)[1] == -1 then
    vim.fn.jobstop(self.channel)
  end
end

return Child
