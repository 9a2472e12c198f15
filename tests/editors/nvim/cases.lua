-- What a user does in Neovim, by name. What the model does is in the tests that run these.

local cases = {}

--- A patch comes into a buffer with unsaved text, in two places; `u` takes back just the patch.
function cases.patch(child)
  child:open('numbers.txt')
  child:type('ggOunsaved<Esc>')
  child:turn('patch it')
  Same({ 'unsaved', 'one', 'TWO', 'three', 'four', 'five', 'SIX' }, child:lines())
  child:type('u')
  Same({ 'unsaved', 'one', 'two', 'three', 'four', 'five', 'six' }, child:lines())
  child:type('u')
  Same({ 'one', 'two', 'three', 'four', 'five', 'six' }, child:lines())
  child:type('<C-r><C-r>')
  Same({ 'unsaved', 'one', 'TWO', 'three', 'four', 'five', 'SIX' }, child:lines())
  Same(true, child:lua('return vim.bo.modified'))
  Same(1, child:lua('return #Codex.edits'))
  -- Each hunk is no more than what changes.
  local edits = child:lua('return Codex.edits[1].edit.documentChanges[1].edits')
  Same(2, #edits)
  for _, edit in ipairs(edits) do
    Same(edit.range.start.line, edit.range['end'].line)
  end
end

--- Two buffers and a file that is not open, in one patch.
function cases.patch_of_several(child)
  child:open('numbers.txt')
  child:lua('vim.cmd.edit("letters.txt")')
  child:lua('Codex.start(vim.empty_dict())')
  child:type('Gounsaved<Esc>')
  child:turn('patch them')
  Same({ 'a', 'B', 'c', 'unsaved' }, child:lines('letters.txt'))
  Same({ 'one', 'TWO', 'three', 'four', 'five', 'six' }, child:lines('numbers.txt'))
  -- Neovim looks at the version of the first document of an edit only.
  Same(2, child:lua('return #Codex.edits'))
  child:type('u')
  Same({ 'a', 'b', 'c', 'unsaved' }, child:lines('letters.txt'))
end

--- While the patch waits to be approved the user types in another place of the file.
function cases.typing_elsewhere(child)
  child:open('numbers.txt')
  child:lua([[Codex.on_event.apply_patch_approval_request = function(msg) Codex.asked = msg end]])
  child:ask('patch it')
  child:wait('Codex.asked')
  child:type('Gotyped meanwhile<Esc>')
  child:lua([[Codex.on_event.apply_patch_approval_request = Codex.approve]])
  child:type(':lua Codex.approve(Codex.asked)<CR>')
  child:wait_for_turn()
  local patched = { 'one', 'TWO', 'three', 'four', 'five', 'SIX', 'typed meanwhile' }
  Same(patched, child:lines())
  child:type('u')
  Same({ 'one', 'two', 'three', 'four', 'five', 'six', 'typed meanwhile' }, child:lines())
end

--- While the patch waits to be approved the user changes the very line.
function cases.typing_in_the_same_place(child)
  child:open('numbers.txt')
  child:lua([[Codex.on_event.apply_patch_approval_request = function(msg) Codex.asked = msg end]])
  child:ask('patch it')
  child:wait('Codex.asked')
  child:type('ggjcczwei<Esc>')
  child:type(':lua Codex.approve(Codex.asked)<CR>')
  child:wait_for_turn()
  Same({ 'one', 'zwei', 'three', 'four', 'five', 'six' }, child:lines())
  Same(0, child:lua('return #Codex.edits'))
end

--- The user types in the moment in which the edit is on its way. Neovim leaves the edit out,
--- and says that it was applied.
function cases.typing_under_the_edit(child)
  child:open('numbers.txt')
  child:type('ggxu')
  child:lua([[Codex.before_edit = function()
    vim.api.nvim_buf_set_lines(0, -1, -1, true, { 'typed meanwhile' })
  end]])
  child:turn('patch it')
  local patched = { 'one', 'TWO', 'three', 'four', 'five', 'SIX', 'typed meanwhile' }
  Same(patched, child:lines())
  Same(2, child:lua('return #Codex.edits'))
end

--- The same, in the very line.
function cases.typing_under_the_edit_in_the_same_place(child)
  child:open('numbers.txt')
  child:type('ggxu')
  child:lua([[Codex.before_edit = function()
    vim.api.nvim_buf_set_lines(0, 1, 2, true, { 'zwei' })
  end]])
  child:turn('patch it')
  Same({ 'one', 'zwei', 'three', 'four', 'five', 'six' }, child:lines())
end

--- The same in a buffer that nobody has ever changed, and above the edit: its version is 0, and
--- Neovim compares none with that.
function cases.typing_under_the_first_edit(child)
  child:open('numbers.txt')
  child:lua([[Codex.before_edit = function()
    vim.api.nvim_buf_set_lines(0, 0, 0, true, { 'typed meanwhile' })
  end]])
  child:turn('patch it')
  Same({ 'typed meanwhile', 'one', 'TWO', 'three', 'four', 'five', 'SIX' }, child:lines())
  child:type('u')
  Same({ 'typed meanwhile', 'one', 'two', 'three', 'four', 'five', 'six' }, child:lines())
  Same(2, child:lua('return #Codex.edits'))
end

--- The same, in the second of two buffers. Neovim looks only at the version of the first part of
--- an edit, so that this would go wrong if it were one edit.
function cases.typing_under_the_edit_of_several(child)
  child:open('numbers.txt')
  child:lua('vim.cmd.edit("letters.txt")')
  child:lua('Codex.start(vim.empty_dict())')
  child:type('ggxu')
  child:type(':buffer numbers.txt<CR>ggxu')
  child:lua([[Codex.before_edit = function()
    vim.api.nvim_buf_set_lines(vim.fn.bufnr('letters.txt'), 1, 2, true, { 'beta' })
  end]])
  child:turn('patch them')
  Same({ 'a', 'beta', 'c' }, child:lines('letters.txt'))
  Same({ 'one', 'two', 'three', 'four', 'five', 'six' }, child:lines('numbers.txt'))
end

--- A command runs while a buffer is not saved. With `saves` the editor saves on request.
function cases.command(child, saves)
  local codex = { saveDocuments = saves == 'saves' }
  child:open('numbers.txt', { init_options = { codex = codex } })
  child:type('ggOunsaved<Esc>')
  child:turn('count the lines')
  Same(saves ~= 'saves', child:lua('return vim.bo.modified'))
  Same(saves == 'saves' and 1 or 0, child:lua('return #Codex.saves'))
end

--- All kinds of edits in a text of many scripts, which is then mentioned.
function cases.mention(child, encoding, format)
  child:open('scripts.txt', { encoding = encoding })
  Same(encoding, child:lua('return Codex.client.offset_encoding'))
  Same(format, child:lua('return vim.bo.fileformat'))
  child:type('gg0lxi🐍é<Esc>')
  child:type('jA 𐍈🙂<Esc>')
  child:type('ggoünder der 𐍈<CR>noch 🎉 eine<Esc>')
  child:type('Gdd')
  child:type('ggjJ')
  child:type(':%s/🙂/🦀🦀/ge<CR>')
  child:type('u')
  child:type('Go🪐<Esc>ggyyGp')
  child:type('gg0v$hd')
  child:turn('read it', 'scripts.txt')
  local lines = child:lines()
  local text = table.concat(lines, format == 'dos' and '\r\n' or '\n')
  vim.fn.writefile(vim.split(text, '\n', { plain = true }), vim.env.SHOWN, 'b')
end

return cases
