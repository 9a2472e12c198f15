-- The keys of the transcript.

local M = {}

local api = vim.api

local MESSAGE = { user = true, message = true }

--- Go to the next message, or the one before.
---@param view codex.chat.View
---@param forward boolean
local function go(view, forward)
  local transcript = view.transcript
  for _ = 1, vim.v.count1 do
    local row = api.nvim_win_get_cursor(0)[1] - 1
    local cell = transcript:at(row)
    local target
    if forward then
      target = cell and cell.next
      if not cell then
        target = transcript.first
      end
    else
      -- From within a message to its beginning, as `[[` does it elsewhere.
      target = cell and transcript:range(cell) < row and cell or cell and cell.prev
    end
    while target and not MESSAGE[target.kind] do
      target = forward and target.next or target.prev
    end
    if not target then
      return
    end
    api.nvim_win_set_cursor(0, { transcript:range(target) + 1, 0 })
  end
end

--- The file that the line under the cursor is about.
---@param view codex.chat.View
---@return codex.chat.Place?
local function place(view)
  local cell, row = view.transcript:at(api.nvim_win_get_cursor(0)[1] - 1)
  local found = require('codex.chat.places').under_cursor(view.root)
  return found or (cell and cell.places and cell.places[row])
end

---@param cell codex.chat.Placed
local function show_all(cell)
  local places = require('codex.chat.places')
  if cell.kind == 'patch' then
    local lines = {}
    for _, file in ipairs(cell.files) do
      vim.list_extend(lines, { '--- ' .. file.path, '+++ ' .. (file.to or file.path) })
      vim.list_extend(lines, file.diff)
    end
    places.show('patch', lines, 'diff')
  else
    local text = type(cell.command) == 'table' and cell.command[#cell.command]
      or cell.command
      or cell.name
    local name = tostring(text):match('^[%w_./-]+') or 'output'
    places.show(name, cell.output:all(), 'codex_output')
  end
end

--- What <CR> does, by what is under the cursor.
---@param view codex.chat.View
local function enter(view)
  local line = vim.fn.line('.')
  local cell, row = view.transcript:at(line - 1)
  if not cell then
    view.pages:load()
  elseif vim.fn.foldclosed(line) ~= -1 then
    vim.cmd('normal! zo')
  elseif row == cell.more then
    show_all(cell)
  elseif cell.state == 'asked' and row == 0 then
    require('codex').approve()
  else
    local found = place(view)
    if found then
      require('codex.chat.places').open(found)
    elseif cell.folded then
      vim.cmd('normal! za')
    end
  end
end

---@param view codex.chat.View
local function go_file(view)
  local found = place(view)
  if found then
    require('codex.chat.places').open(found)
  else
    require('codex.notify').info('there is no file of that name under the cursor')
  end
end

--- Map the keys of a transcript.
---@param buffer integer
---@param view codex.chat.View
function M.attach(buffer, view)
  local chat = require('codex.chat')
  local function map(key, run, desc)
    vim.keymap.set('n', key, run, { buffer = buffer, nowait = true, desc = 'codex: ' .. desc })
  end
  map('q', chat.close, 'close the chat')
  map('<C-c>', chat.stop, 'stop the turn')
  map(']]', function()
    go(view, true)
  end, 'next message')
  map('[[', function()
    go(view, false)
  end, 'message before')
  map('gf', function()
    go_file(view)
  end, 'open the file')
  map('<CR>', function()
    enter(view)
  end, 'open what is under the cursor')
  for _, key in ipairs({ 'i', 'I', 'a', 'A', 'o', 'O' }) do
    map(key, function()
      chat.focus(true)
    end, 'type')
  end
  map('g?', '<Cmd>help codex-chat-keys<CR>', 'help')
  api.nvim_create_autocmd('CursorMoved', {
    buffer = buffer,
    callback = function()
      if vim.fn.line('.') == 1 and view.transcript.first then
        view.pages:load()
      end
    end,
  })
end

return M
