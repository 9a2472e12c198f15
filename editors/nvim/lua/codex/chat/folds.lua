-- Folds of cells that are over. They are made one by one, by hand as Vim calls it: no expression is
-- worked out again for the buffer when text is added to it.

local cells = require('codex.chat.cells')

local M = {}

local api = vim.api

---@type table<integer, codex.chat.Transcript> by buffer, for the text of folds
local transcripts = {}

--- Have the folds of a transcript's buffer be named by its cells.
---@param transcript codex.chat.Transcript
function M.attach(transcript)
  transcripts[transcript.buffer] = transcript
  api.nvim_create_autocmd('BufWipeout', {
    buffer = transcript.buffer,
    once = true,
    callback = function()
      transcripts[transcript.buffer] = nil
    end,
  })
end

---@param window integer
---@param first integer
---@param last integer
---@param open boolean
local function fold(window, first, last, open)
  api.nvim_win_call(window, function()
    vim.cmd(('%d,%dfold'):format(first + 1, last + 1))
    if open then
      vim.cmd(('%dfoldopen'):format(first + 1))
    end
  end)
end

--- Fold a cell that is over in all windows; not where somebody is reading it.
---@param transcript codex.chat.Transcript
---@param cell codex.chat.Placed
function M.add(transcript, cell)
  local first, last = transcript:range(cell)
  if cell.folded or not cells.folds(cell, last - first + 1) then
    return
  end
  cell.folded = true
  for _, window in ipairs(vim.fn.win_findbuf(transcript.buffer)) do
    local row = api.nvim_win_get_cursor(window)[1] - 1
    local reading = window == api.nvim_get_current_win() and row > first and row <= last
    fold(window, first, last, reading)
  end
end

--- Make all folds of a window that has begun to show the transcript.
---@param transcript codex.chat.Transcript
---@param window integer
function M.restore(transcript, window)
  local commands = { 'normal! zE' }
  local cell = transcript.first
  while cell do
    if cell.folded then
      local first, last = transcript:range(cell)
      table.insert(commands, ('%d,%dfold'):format(first + 1, last + 1))
    end
    cell = cell.next
  end
  api.nvim_win_call(window, function()
    pcall(vim.cmd, commands[1]) -- there may be none
    for i = 2, #commands do
      vim.cmd(commands[i])
    end
  end)
end

--- The text of a closed fold: what the cell is, with how it ended, and how much is folded.
---@return {[1]: string, [2]: string?}[]|string
function M.text()
  local words = require('codex.chat.words')
  local transcript = transcripts[api.nvim_get_current_buf()]
  local first, last = vim.v.foldstart, vim.v.foldend
  local cell = transcript and transcript:at(first - 1)
  if not cell or not cell.title then
    return vim.fn.foldtext()
  end
  local lines = cell.output and cell.output:total() or last - first
  local count = lines > 0 and (' ▸ %s'):format(words.counted(lines, 'line')) or ' ▸'
  local info = vim.fn.getwininfo(api.nvim_get_current_win())[1]
  local room = info.width - info.textoff - vim.fn.strdisplaywidth(count)
  local longest, used = 1, 0
  for i, chunk in ipairs(cell.title) do
    local width = vim.fn.strdisplaywidth(chunk[1])
    used = used + width
    if width > vim.fn.strdisplaywidth(cell.title[longest][1]) then
      longest = i
    end
  end
  local chunks = {}
  for i, chunk in ipairs(cell.title) do
    local text = chunk[1]:gsub('%s+', ' ')
    if i == longest and used > room then
      text = words.shortened(text, math.max(8, vim.fn.strdisplaywidth(text) - (used - room)))
    end
    table.insert(chunks, { text, chunk[2] or 'CodexText' })
  end
  table.insert(chunks, { count, 'CodexHint' })
  return chunks
end

return M
